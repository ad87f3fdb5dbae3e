package session

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"securesocket/tlsengine"
)

// Question is a chain with problems that the handshake waits to be decided
// about. It is immutable.
type Question struct {
	ID       int64 // from 1, in its session
	Report   *tlsengine.Report
	Deadline time.Time

	answer chan bool // depth 1, from decideLocked, which closes the question; at most one
}

// Acceptance names one problem that the caller accepts.
type Acceptance struct {
	Code        tlsengine.ProblemCode
	Certificate [sha256.Size]byte // zero: of no certificate in particular
}

// Decision is a caller's answer to a Question.
type Decision struct {
	ID        int64
	Accept    []Acceptance
	AcceptAll bool
}

// accepts tells whether the decision names exactly the problems of the report.
func (d Decision) accepts(r *tlsengine.Report) bool {
	if d.AcceptAll {
		return true
	}
	want := make(map[Acceptance]bool)
	for _, p := range r.Problems {
		a := Acceptance{Code: p.Code}
		if p.Certificate != nil {
			a.Certificate = sha256.Sum256(p.Certificate.Raw)
		}
		want[a] = true
	}
	given := make(map[Acceptance]bool)
	for _, a := range d.Accept {
		if !want[a] {
			return false
		}
		given[a] = true
	}
	return len(given) == len(want)
}

// Decide answers a question. The error is ErrNotFound, or a StateError where
// the question was never asked; the answer to one that is closed by now is
// ignored.
func (s *Session) Decide(d Decision) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil {
		return s.over
	}
	s.claimLocked()
	return s.decideLocked(d)
}

// Decide is Session.Decide for the stream that holds the session.
func (a *Attachment) Decide(d Decision) error {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	if a.superseded {
		return a.supersededLocked()
	}
	return a.s.decideLocked(d)
}

func (s *Session) decideLocked(d Decision) error {
	if d.ID < 1 || d.ID > s.lastQuestion {
		return &StateError{Op: "decision", Have: "asking nothing under that decision_id", Want: "asking it"}
	}
	if c := s.conn; c != nil && !c.stopped && c.question != nil && c.question.ID == d.ID {
		c.question.answer <- d.accepts(c.question.Report)
		c.question = nil // from now on: a close behind the answer is no answer
	}
	return nil
}

// decide asks the caller about a chain with problems and waits. The handshake's
// clock stands still meanwhile. nil accepts; else a DecisionError, or ctx's
// cause. It is what tlsengine asks, inside the handshake.
func (c *connection) decide(ctx context.Context, clock *handshakeClock, r *tlsengine.Report) error {
	limit := *c.settings.DecisionTimeout
	q := &Question{Report: r, Deadline: time.Now().Add(limit), answer: make(chan bool, 1)}
	if d, ok := ctx.Deadline(); ok && d.Before(q.Deadline) {
		q.Deadline = d
	}
	if err := c.ask(q); err != nil {
		return err
	}
	resume := clock.pause()
	defer resume()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	var err error
	select {
	case accepted := <-q.answer:
		if !accepted {
			err = &DecisionError{Report: r, Limit: limit}
		}
	case <-timer.C:
		err = &DecisionError{Report: r, Timeout: true, Limit: limit}
	case <-ctx.Done():
		if err = context.Cause(ctx); errors.Is(err, errConnectTimeout) {
			err = &DecisionError{Report: r, Timeout: true, Limit: *c.settings.ConnectTimeout}
		}
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.question = nil
	c.timeline.end(spanDecision)
	return err
}

// ask stores the verdict, emits certificate_error and opens the question. The error
// is why the connection has to end.
func (c *connection) ask(q *Question) error {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.stopped {
		return context.Cause(c.ctx)
	}
	if err := c.judgedLocked(q.Report); err != nil {
		return err
	}
	s.lastQuestion++
	q.ID = s.lastQuestion
	c.question = q
	c.timeline.begin(spanDecision)
	s.emitLocked(CertificateError{Report: q.Report, Overridable: true})
	c.offerLocked()
	return nil
}
