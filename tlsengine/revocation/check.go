package revocation

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Check answers about every certificate of the chain but the anchor, in the order of depth. It returns within five
// seconds, or soon after ctx ends; what is not known by then is NotChecked. It may run beside itself, and must not be
// called by one who holds a turn that Query.Turn would have to wait for. It modifies nothing of the query, of which a fetch
// that others wait for keeps the certificates and Turn until it ends. A chain of fewer than two certificates has no results.
func (c *Checker) Check(ctx context.Context, q Query) []Result {
	if len(q.Chain) < 2 {
		return nil
	}
	questions := c.ask(ctx, q)
	results := make([]Result, len(questions))
	for depth, one := range questions {
		results[depth] = one.result(depth)
	}
	return results
}

// inquiry is one Check.
type inquiry struct {
	Query
	checker   *Checker // may be nil
	questions []*question
	allowance *allowance
}

// question is about one certificate.
type question struct {
	evidence
	subject *subject // nil: its chain cannot be used
	missing []source // that have to be asked
}

// ask asks first what is at hand, and only then whoever is far.
func (c *Checker) ask(ctx context.Context, q Query) []*question {
	ctx, cancel := context.WithTimeoutCause(ctx, checkTimeout, noTime)
	defer cancel()
	if q.Now.IsZero() {
		q.Now = time.Now()
	}
	in := &inquiry{Query: q, checker: c, allowance: &allowance{take: q.Turn}}
	for range len(q.Chain) - 1 {
		in.questions = append(in.questions, &question{})
	}
	if in.askHere(ctx) {
		in.askThere(ctx)
	}
	return in.questions
}

// askHere looks at what is at hand. It is false when there was no turn for it.
func (in *inquiry) askHere(ctx context.Context) bool {
	t := in.allowance.turn()
	defer t.end()
	if err := t.begin(ctx); err != nil {
		for _, q := range in.questions {
			q.add(Result{}, err)
		}
		return false
	}
	for depth, q := range in.questions {
		q.spoil(in.checker.guard(func() error {
			in.prepare(q, depth)
			return nil
		}))
	}
	t.end()
	in.askGiven(ctx, t)
	return true
}

// prepare finds out who may be asked, and looks at the staple and into the cache.
func (in *inquiry) prepare(q *question, depth int) {
	s, err := newSubject(in.Chain, depth, in.Now)
	if err != nil {
		q.add(Result{}, err)
		return
	}
	q.subject, s.owner = s, in.Owner
	c := in.checker
	if c != nil {
		s.leafAge = c.leafCRLAge
	}
	if depth == 0 {
		q.askStaple(in.Staple, s)
	}
	for _, src := range s.sources {
		if c != nil {
			if r, known, err := c.recall(s, src); known {
				q.add(r, from(src, err))
				continue
			}
		}
		q.missing = append(q.missing, src)
	}
}

// askThere asks the sources of the certificates about which nothing is known yet, the leaf's first.
func (in *inquiry) askThere(ctx context.Context) {
	open := make(chan *question, len(in.questions))
	for _, q := range in.questions {
		if q.subject != nil && q.open() {
			open <- q
		}
	}
	close(open)
	var all sync.WaitGroup
	for range min(maxParallel, len(open)) {
		all.Go(func() {
			for q := range open {
				q.spoil(in.checker.guard(func() error {
					in.askSources(ctx, q)
					return nil
				}))
			}
		})
	}
	all.Wait()
}

func (in *inquiry) askSources(ctx context.Context, q *question) {
	c := in.checker
	for _, src := range q.missing {
		if c == nil || c.fetcher == nil {
			q.add(Result{}, from(src, nothingFetched))
			continue
		}
		r, err := c.fetch(ctx, q.subject, src, in.allowance)
		q.add(r, from(src, err))
		if !q.open() {
			return
		}
	}
	q.said = append(q.said, q.subject.skipped...)
	if len(q.said) == 0 {
		q.said = append(q.said, noSource)
	}
}

// from says whose error it is; nil stays nil.
func from(src source, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", src, err)
}
