package revocation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Check answers about every certificate of the chain but the anchor, in the order of depth. It returns within five
// seconds, or soon after ctx ends; what is not known by then is NotChecked. It may run beside itself, modifies nothing of
// the query, of which a fetch that others wait for keeps the certificates until it ends. A chain of fewer than two certificates has no results.
func (c *Checker) Check(ctx context.Context, q Query) []Result {
	if len(q.Chain) < 2 {
		return nil
	}
	if q.Now.IsZero() {
		q.Now = time.Now()
	}
	ctx, cancel := context.WithTimeoutCause(ctx, checkTimeout, noTime)
	defer cancel()
	results := make([]Result, len(q.Chain)-1)
	var all sync.WaitGroup
	for depth := range results {
		all.Go(func() { results[depth] = c.ask(ctx, &q, depth).result(depth) })
	}
	all.Wait()
	return results
}

// evidence is what was found about one certificate. Revoked is final.
type evidence struct {
	found          Result // Outcome 0: nothing definite
	said           []error
	stapleRequired bool
}

func (e *evidence) add(r Result, err error) {
	switch {
	case err != nil:
		e.said = append(e.said, err)
	case e.found.Outcome == 0, r.Outcome == Revoked && e.found.Outcome != Revoked:
		e.found = r
	}
}

func (e *evidence) definite() bool { return e.found.Outcome != 0 }

func (e *evidence) result(depth int) Result {
	r := e.found
	if !e.definite() {
		r = Result{Outcome: NotChecked, Detail: detail(e.said)}
	}
	r.Depth, r.StapleRequired = depth, e.stapleRequired
	return r
}

// ask asks about one certificate: first what is at hand, and only then whoever is far.
func (c *Checker) ask(ctx context.Context, q *Query, depth int) *evidence {
	e := &evidence{}
	s, err := newSubject(q.Chain, depth, q.Now)
	if err != nil {
		e.add(Result{}, err)
		return e
	}
	if c != nil {
		s.leafAge = c.leafCRLAge
	}
	if depth == 0 {
		e.askStaple(q.Staple, s)
	}
	missing := s.sources
	if c != nil {
		missing = nil
		for _, src := range s.sources {
			r, known, err := c.recall(s, src)
			if !known {
				missing = append(missing, src)
				continue
			}
			e.add(r, from(src, err))
		}
	}
	e.askGiven(ctx, q.CRLs, s)

	for _, src := range missing {
		if e.definite() {
			return e
		}
		if c == nil || c.fetcher == nil {
			e.add(Result{}, from(src, nothingFetched))
			continue
		}
		r, err := c.fetch(ctx, s, src)
		e.add(r, from(src, err))
	}
	e.said = append(e.said, s.skipped...)
	if len(e.said) == 0 {
		e.said = append(e.said, noSource)
	}
	return e
}

// from says whose error it is; nil stays nil.
func from(src source, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", src, err)
}

func (e *evidence) askStaple(staple []byte, s *subject) {
	e.stapleRequired = mustStaple(s.cert)
	if staple == nil {
		return
	}
	a, err := readOCSP(staple, s)
	if err == nil {
		var r Result
		if r, err = a.judge(s, source{}); err == nil {
			r.Source, e.stapleRequired = Staple, false
			e.add(r, nil)
			return
		}
	}
	e.add(Result{}, fmt.Errorf("staple: %w", err))
}

// askGiven looks through the CRLs that the caller gave. Those of other issuers are not worth a word.
func (e *evidence) askGiven(ctx context.Context, lists [][]byte, s *subject) {
	for i, der := range lists {
		scan := &crlScan{signers: s.signers, serial: s.serial}
		l, err := scan.read(ctx, bytes.NewReader(der))
		if errors.Is(err, otherIssuer) {
			continue
		}
		var r Result
		if err == nil {
			r, err = l.judge(s, source{})
		}
		if err != nil {
			err = fmt.Errorf("given CRL %d: %w", i, err)
		}
		e.add(r, err)
	}
}

// recall looks into the cache. It is false when somebody has to be asked.
func (c *Checker) recall(s *subject, src source) (_ Result, known bool, _ error) {
	for _, key := range []cacheKey{s.key(src), s.serialKey(src)} {
		item, ok := c.cache.get(key, s.now)
		if !ok {
			continue
		}
		if item.err != nil {
			return Result{}, true, fmt.Errorf("asked a short while ago: %w", item.err)
		}
		r, err := item.answer.judge(s, src)
		if staleFor(err) {
			continue
		}
		r.Source = Cache
		return r, true, err
	}
	return Result{}, false, nil
}

// staleFor says whether another answer from the same source may be of use.
func staleFor(err error) bool {
	return errors.Is(err, fromTheFuture) || errors.Is(err, outOfDate) || errors.Is(err, notRemembered)
}

// fetch asks a source, together with whoever else asks it now.
func (c *Checker) fetch(ctx context.Context, s *subject, src source) (Result, error) {
	r, err := c.fetchKey(ctx, s, src, s.key(src))
	if errors.Is(err, notRemembered) { // the others' fetch looked for their certificate alone
		r, err = c.fetchKey(ctx, s, src, s.serialKey(src))
	}
	return r, err
}

// patience is how long a source is waited for before it is called slow.
const patience = 2 * time.Second

func (c *Checker) fetchKey(ctx context.Context, s *subject, src source, key cacheKey) (Result, error) {
	started := time.Now()
	a, err := c.flights.do(ctx, key, func(ctx context.Context) (answer, error) { return c.load(ctx, s, src, key) })
	switch {
	case err == nil:
		r, err := a.judge(s, src)
		r.Source = src.kind
		return r, err
	case errors.Is(err, noTime) && time.Since(started) > patience:
		c.cache.rememberNot(key, noTime, s.now)
	}
	return Result{}, fetchError(err)
}

// load fetches, reads and remembers.
func (c *Checker) load(ctx context.Context, s *subject, src source, key cacheKey) (answer, error) {
	if item, ok := c.cache.get(key, s.now); ok { // another flight has just landed
		if item.err != nil {
			return nil, item.err
		}
		if _, err := item.answer.judge(s, src); !staleFor(err) {
			return item.answer, nil
		}
	}
	a, err := c.read(ctx, s, src)
	if err != nil {
		if !errors.Is(ctx.Err(), context.Canceled) { // else nobody waits, and nothing is known
			c.cache.rememberNot(key, err, s.now)
		}
		return nil, err
	}
	l, isCRL := a.(*crl)
	if isCRL && l.entries == nil {
		key = s.serialKey(src)
	}
	switch _, err := a.judge(s, src); {
	case err == nil, errors.Is(err, otherScope), errors.Is(err, otherPoint): // others may have more of it
		c.cache.remember(key, a, s.now)
	default:
		c.cache.rememberNot(key, err, s.now)
	}
	if isCRL && l.entries != nil {
		l.entries.settle()
	}
	return a, nil
}
