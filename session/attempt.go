package session

import (
	"context"
	"errors"
	"time"

	"securesocket/tlsengine"
)

// Attempt is a connect that was begun. Several callers may wait for it.
type Attempt struct {
	s       *Session
	req     Request
	decided chan struct{} // closed once err is set

	// Guarded by the session's mu.
	err     error
	waiting int  // calls of Begin that have not ended their Wait
	pinned  bool // goes on although nobody waits
}

// join counts who is interested, under the lock that found the attempt, so that
// it is not given up between Begin and Wait.
func (a *Attempt) join(pinned bool) {
	if pinned {
		a.pinned = true
	} else {
		a.waiting++
	}
}

// Wait returns when the connection is secure, or plain as asked for (nil), or has failed. When ctx ends
// first the attempt is given up, if nobody else waits for it.
func (a *Attempt) Wait(ctx context.Context) error {
	a.await(ctx)
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	a.waiting--
	select {
	case <-a.decided:
		return a.err
	default:
	}
	if c := a.s.conn; a.waiting == 0 && !a.pinned && c != nil && c.attempt == a {
		c.stopLocked(CauseLocal, ErrCancelled, true)
		a.forgetLocked()
	}
	return ErrCancelled
}

// await waits for the outcome or ctx. Who waits for a StartTLS without a stream is
// there, and renews the grace.
func (a *Attempt) await(ctx context.Context) {
	for {
		a.s.mu.Lock()
		a.s.core.Renew(time.Now())
		a.s.renewLocked()
		a.s.effectsLocked()
		timer := time.NewTimer(a.s.renewInLocked())
		a.s.mu.Unlock()
		select {
		case <-a.decided:
		case <-ctx.Done():
		case <-timer.C:
			continue
		}
		timer.Stop()
		return
	}
}

// decide sets the outcome, once. An attempt that was given up is forgotten: the
// same request may begin it again.
func (a *Attempt) decide(err error, c *connection) {
	select {
	case <-a.decided:
		return
	default:
	}
	if err == nil && c.ended {
		err = ErrCancelled // by Close, DeleteSession or another Connect
		if cause := c.overallCause(); cause == CauseIdleTimeout || cause == CauseDetachExpired {
			err = &ClosedError{Cause: cause}
		}
	}
	a.err = err
	if errors.Is(err, ErrCancelled) {
		a.forgetLocked()
	}
	close(a.decided)
}

// forgetLocked lets the same request begin anew, unless it has.
func (a *Attempt) forgetLocked() {
	if e, ok := a.s.requests.entries[a.req.ID]; ok && e.value == a {
		a.s.requests.forget(a.req.ID)
	}
}

// slimLocked drops what a retry of an attempt that is over does not need.
func (a *Attempt) slimLocked() { a.err = slimError(a.err) }

// slimError is err without the chains of a report, which one event has.
func slimError(err error) error {
	slim := func(r *tlsengine.Report) *tlsengine.Report {
		out := &tlsengine.Report{Status: r.Status, Basis: r.Basis}
		for _, p := range r.Problems {
			p.Certificate = nil
			out.Problems = append(out.Problems, p)
		}
		return out
	}
	if ce, ok := errors.AsType[*tlsengine.CertificateError](err); ok {
		return &tlsengine.CertificateError{Report: slim(ce.Report)}
	} else if de, ok := errors.AsType[*DecisionError](err); ok {
		return &DecisionError{Report: slim(de.Report), Timeout: de.Timeout, Limit: de.Limit}
	}
	return err
}
