package session

import (
	"context"
	"math"
	"time"

	"securesocket/session/resume"
)

// Attachment is the stream that holds a session. One goroutine at a time, which
// Start has started, calls Next, and one calls Write, Ack, Finish and
// CloseSocket; Detach may come from any.
type Attachment struct {
	s    *Session
	seq  int64
	gone chan struct{} // closed when another stream has taken the session

	// Guarded by the session's mu.
	sender     worker
	send       func() bool // its work; nil before Start
	superseded bool
	mistrusted bool        // a start_tls was refused: see Mistrust
	detached   bool        // by Detach: there is nobody left to tell
	closing    bool        // the caller will send no more: the stream ends with the socket
	due        *time.Timer // to the sender, when there is progress to tell; made when it is needed
	refusals   []Refusal
	progress   Progress // that Next returned last
	// The last question and sign request that this stream was asked.
	asked, askedToSign int64
}

// AttachArgs is what an attach brings.
type AttachArgs = resume.AttachArgs

// Attached is what the caller is told first.
type Attached struct {
	Snapshot  Snapshot
	Accepted  int64
	SendLimit int64
	Offset    int64 // the next byte from the peer that is sent
	Grace     time.Duration
}

// Attach takes the session: the stream that held it before is superseded. The
// error is ErrNotFound, a TokenError, a SupersededError, an OffsetError, a
// LimitError with the time to wait, or an ExpiredError.
func (s *Session) Attach(args AttachArgs) (*Attachment, Attached, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil {
		return nil, Attached{}, s.over
	}
	s.claimLocked()
	if err := s.reg.limits.attaches.Allow(s.owner, 1); err != nil {
		return nil, Attached{}, limitError(err)
	}
	told, err := s.core.Attach(time.Now(), args)
	if err != nil {
		return nil, Attached{}, s.obeyedLocked("attach", err)
	}
	if old := s.attachment; old != nil {
		old.superseded = true
		close(old.gone)
		old.sendSoonLocked()
		old.stopDueLocked()
	}
	a := &Attachment{s: s, seq: told.Epoch, gone: make(chan struct{})}
	s.attachment = a
	s.neverExpireLocked()
	if c := s.conn; c != nil && c.detach != nil {
		c.detach.Stop()
	}
	s.effectsLocked()
	s.changedLocked() // a Read or Write without a stream ends now
	s.settledLocked()
	v := s.snapshotLocked()
	grace := *v.Effective.DetachGrace
	if c := s.conn; c != nil && !c.ended {
		grace = c.detachGrace // what is set since holds for the next
	}
	return a, Attached{v, told.Accepted, s.limitLocked(told.SendLimit), told.Offset, grace}, nil
}

// NoLimit is the send_limit of what is bounded by its stream alone.
const NoLimit = math.MaxInt64

// limitLocked is a send_limit of the core as the caller is told it.
func (s *Session) limitLocked(limit int64) int64 {
	if s.resumableLocked() {
		return limit
	}
	return NoLimit
}

// SessionID is the session's key.
func (a *Attachment) SessionID() string { return a.s.id }

// Gone is closed when another stream has taken the session.
func (a *Attachment) Gone() <-chan struct{} { return a.gone }

// Superseded is the error for the stream whose attachment is gone.
func (a *Attachment) Superseded() error {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	return a.supersededLocked()
}

func (a *Attachment) supersededLocked() error {
	return &SupersededError{LastSeq: a.s.core.LastSeq()}
}

// Start has send called whenever there may be something to send, in a goroutine
// of its own, which a stream at rest has not. send calls Next until that has
// nothing (true), or until an error: then (false) it is not called again.
func (a *Attachment) Start(send func() (goesOn bool)) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	a.send = send
	a.sendSoonLocked()
}

func (a *Attachment) sendSoonLocked() {
	if a.send != nil {
		a.sender.wakeLocked(a.send)
	}
}

// sendAtLocked is sendSoonLocked at an instant.
func (a *Attachment) sendAtLocked(at time.Time) {
	if a.due == nil {
		a.due = a.s.reg.after(time.Until(at), func() {
			a.s.mu.Lock()
			defer a.s.mu.Unlock()
			a.sendSoonLocked()
		})
		return
	}
	a.due.Reset(time.Until(at))
}

func (a *Attachment) stopDueLocked() {
	if a.due != nil {
		a.due.Stop()
	}
}

// Write takes one payload for the peer, which may be in several pieces; they are
// copied. It waits for room, unless the session is resumable: then the caller
// keeps to its send_limit. The error is ctx's, a SupersededError, a GapError or a
// WindowError, after which the stream cannot go on, or a StateError or FieldError.
func (a *Attachment) Write(ctx context.Context, generation, offset int64, pieces ...[]byte) error {
	s := a.s
	for {
		s.mu.Lock()
		if err := a.mistrustedLocked(); err != nil {
			s.mu.Unlock()
			return err
		}
		full, err := s.core.Data(time.Now(), a.seq, generation, offset, pieces...)
		err = s.obeyedLocked("data", err)
		c := s.conn
		s.mu.Unlock()
		if !full {
			return err
		}
		if err := a.waitRoom(ctx, c); err != nil {
			return err
		}
	}
}

// waitRoom waits until there may be room for bytes of the caller, or c has ended,
// or a is superseded. The error is ctx's.
func (a *Attachment) waitRoom(ctx context.Context, c *connection) error {
	select {
	case <-c.room:
		select {
		case <-a.gone:
			signal(c.room) // it is for the stream that has the session now
		default:
		}
		return nil
	case <-a.gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.ctx.Done():
	}
	// What is said of the end comes before the refusal of these bytes.
	c.s.mu.Lock()
	if c.ended {
		c.s.mu.Unlock()
		return nil
	}
	changed := c.s.nextChangeLocked()
	c.s.mu.Unlock()
	select {
	case <-changed:
	case <-a.gone:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// Ack says that the caller has the bytes before offset and the events up to
// eventSeq; 0 says nothing. The error is a SupersededError, an OffsetError, a
// StateError or a FieldError.
func (a *Attachment) Ack(generation, offset, eventSeq int64) error {
	s := a.s
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.obeyedLocked("ack", s.core.Ack(time.Now(), a.seq, generation, offset, eventSeq))
	s.settledLocked()
	return err
}

// Finish half-closes the connection after offset bytes.
func (a *Attachment) Finish(generation, offset int64) error {
	s := a.s
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.obeyedLocked("finish", s.core.Finish(time.Now(), a.seq, generation, offset))
}

// CloseSocket begins to end the connection or its writing half.
func (a *Attachment) CloseSocket(how How, sendOffset *int64, generation int64) error {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	if a.superseded {
		return a.supersededLocked()
	}
	_, err := a.s.beginCloseLocked(how, sendOffset, generation)
	return err
}

// CloseSend notes that the caller will send no more. A resumable session is let
// go (true): the stream is over. Otherwise the socket is closed gracefully, and
// the stream ends when that is done.
func (a *Attachment) CloseSend() (over bool) {
	s := a.s
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case a.superseded:
		return false
	case s.resumableLocked():
		a.detachLocked(true)
		return true
	}
	a.closing = true
	if c := s.conn; c != nil && !c.ended {
		_, _ = s.beginCloseLocked(CloseGraceful, nil, 0)
	}
	a.sendSoonLocked()
	return false
}

// Unclaimed ends the connection of a session whose stream broke before it began,
// as Detach would have, unless a stream holds it by now.
func (s *Session) Unclaimed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.conn; c != nil && !c.ended && s.attachment == nil && !s.core.Resumable() {
		c.stopLocked(CauseLocal, ErrCancelled, true)
	}
}

// Detach lets the session go; it does nothing if another stream has it. A
// resumable session is kept for its grace. Otherwise the connection is aborted,
// but one that is being closed gracefully goes on, and so does every connection
// with keep, for the same time.
func (a *Attachment) Detach(keep bool) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	a.detachLocked(keep)
}

func (a *Attachment) detachLocked(keep bool) {
	s := a.s
	if s.attachment != a {
		return
	}
	s.attachment = nil
	a.superseded, a.detached = true, true
	a.stopDueLocked()
	a.sendSoonLocked()
	s.core.Detach(time.Now(), a.seq)
	s.effectsLocked()
	c := s.conn
	if c == nil || c.ended {
		s.settledLocked()
		s.restLocked()
		return
	}
	switch {
	case s.core.Resumable():
	case keep:
		c.detachInLocked()
	case !c.closing:
		c.stopLocked(CauseLocal, ErrCancelled, true)
	}
}
