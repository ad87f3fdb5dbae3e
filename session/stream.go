package session

import (
	"errors"
	"time"

	"securesocket/session/resume"
)

// The bytes, the events and the attachments of a session are kept by its core
// (package resume), under the session's lock: here is what follows from a call
// of it, for whom and as which error.

// streamOptions are a connection's for the core.
func (c *connection) streamOptions() resume.Options {
	o := resume.Options{
		Resumable:    *c.settings.Resumable,
		ReceiveBytes: c.settings.ReceiveBytes,
		SendBytes:    c.settings.SendBytes,
		ChunkBytes:   chunkSize,
		Grace:        *c.settings.DetachGrace,
	}
	// A ring has several, so that it takes a good part of its bound however the bytes come.
	for _, smaller := range []int{recordSize, littleSize} {
		if 4*o.ChunkBytes > min(o.ReceiveBytes, o.SendBytes) {
			o.ChunkBytes = smaller
		}
	}
	return o
}

// effectsLocked wakes those who may go on after a call of the core.
func (s *Session) effectsLocked() {
	s.accountLocked()
	e := s.core.Effects()
	if e == 0 {
		return
	}
	if c := s.conn; c != nil {
		if e&resume.WakeReader != 0 {
			signal(c.space)
		}
		if e&resume.WakeWriter != 0 {
			c.writeSoonLocked()
		}
		if e&resume.WakeReceiver != 0 {
			signal(c.room)
		}
	}
	if a := s.attachment; a != nil {
		if e&resume.WakeSender != 0 {
			a.sendSoonLocked()
		}
		if e&resume.NewDue != 0 {
			a.sendAtLocked(s.core.Due())
		}
	}
	if e&resume.NewDeadline != 0 {
		s.graceLocked()
	}
}

// obeyedLocked is effectsLocked after what the caller asked for by op. The error
// is the core's in the session's terms.
func (s *Session) obeyedLocked(op string, err error) error {
	s.effectsLocked()
	if err == nil {
		return nil
	}
	if err == resume.ErrNoGeneration { //nolint:errorlint // as the core made it
		return &StateError{Op: op, Have: s.state.String(), Want: "connecting or connected"}
	}
	switch e := err.(type) { //nolint:errorlint // as the core made it
	case *resume.OffsetError:
		if e.What == "finish" {
			e.What = op
		}
	case *resume.EndedError:
		return &StateError{Op: op, Have: s.conn.writeStateLocked(e.Finished), Want: "connecting or connected, before finish and close"}
	case *resume.GenerationError:
		return &FieldError{Field: op + ".generation", Why: "is required: the session was connected more than once"}
	case *resume.AttachedError:
		return &StateError{Op: op, Have: "attached to a stream", Want: "without one"}
	case *resume.LimitError:
		what := "attaches of a session in short order"
		if e.Failed {
			what = "failed attaches of a session in short order"
		}
		return &LimitError{What: what, Retry: e.Wait}
	case *resume.ExpiredError:
		s.expiredLocked(e)
	}
	return err
}

// graceLocked sets the clock of a resumable session that no stream holds.
func (s *Session) graceLocked() {
	at := s.core.Deadline()
	switch {
	case at.IsZero() || s.over != nil:
		if s.grace != nil {
			s.grace.Stop()
		}
	case s.grace == nil:
		s.grace = s.reg.after(time.Until(at), s.graceOver)
	default:
		s.grace.Reset(time.Until(at))
	}
}

// graceOver ends the session if no stream came back in time.
func (s *Session) graceOver() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil {
		return
	}
	if e, ok := errors.AsType[*ExpiredError](s.core.Tick(time.Now())); ok {
		s.expiredLocked(e)
		return
	}
	s.graceLocked()
}

// expiredLocked ends a session whose grace is over: its owner is told what had
// become of the bytes.
func (s *Session) expiredLocked(final *ExpiredError) {
	if s.over != nil {
		return
	}
	s.endLocked(final)
	if c := s.conn; c != nil && !c.ended {
		c.stopLocked(CauseDetachExpired, nil, false)
	}
}

// settledLocked deletes a session that was made for one connection, once that
// has ended and nothing of it is owed to the caller.
func (s *Session) settledLocked() {
	c := s.conn
	if !s.ephemeral || s.over != nil || c == nil || !c.ended || c.cause == CauseReconnect {
		return
	}
	// A handshake that failed before its owner was told of it is never told of.
	untold := s.listener != nil && c.socket == nil && s.listener.untold(s)
	// Who has no stream, or has not come yet, reads what an accepted connection brought after its end.
	owed := s.core.Resumable() || s.listener != nil && s.core.LastSeq() == 0 && c.socket != nil && !c.dismissed
	if !owed || s.core.Settled() || untold {
		s.endLocked(ErrNotFound)
	}
}

// resumableLocked: what the stream left behind may be attached again.
func (s *Session) resumableLocked() bool {
	if s.core.Generation() == 0 {
		return *s.effectiveLocked().Resumable
	}
	return s.core.Resumable()
}
