package session

import (
	"context"
	"crypto/subtle"
)

// maxSeqJump is how far ahead of the last one an attach_seq may be.
const maxSeqJump = 1 << 20

// Attachment is the stream that holds a session. One goroutine calls Next, and
// one calls Write, Finish and CloseSocket; Detach may come from any.
type Attachment struct {
	s    *Session
	seq  int64
	kick chan struct{} // depth 1: to Next, when there may be something to send
	gone chan struct{} // closed when another stream has taken the session

	// Guarded by the session's mu.
	superseded bool
	detached   bool  // by Detach: there is nobody left to tell
	closing    bool  // the caller will send no more: the stream ends with the socket
	cursor     int64 // seq of the last event that was sent
	refusals   []Refusal
	reported   Progress
	// The last question and sign request that this stream was asked.
	asked, askedToSign int64
}

// AttachArgs is what an attach brings.
type AttachArgs struct {
	Token      []byte // may be empty until the session's first attach
	Seq        int64  // 0 counts as 1
	Offset     int64  // next byte the caller expects
	Generation int64  // of Offset; 0 = the current
	EventSeq   int64  // the last event the caller has
	Trusted    bool   // the token is not asked for: an Open that came again
}

// Attached is what the caller is told first.
type Attached struct {
	Snapshot  Snapshot
	Accepted  int64
	Delivered int64
}

// Attach takes the session: the stream that held it before is superseded.
func (s *Session) Attach(args AttachArgs) (*Attachment, Attached, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkAttachLocked(&args); err != nil {
		return nil, Attached{}, err
	}
	if old := s.attachment; old != nil {
		old.superseded = true
		close(old.gone)
		old.wake()
	}
	a := &Attachment{s: s, seq: args.Seq, kick: make(chan struct{}, 1), gone: make(chan struct{}), cursor: args.EventSeq}
	s.attachment, s.attachSeq = a, args.Seq
	s.expiry.Stop()
	if c := s.conn; c != nil {
		c.detach.Stop()
		a.reported = Progress{c.gen, c.accepted, c.written}
	}
	a.wake()
	v := s.snapshotLocked()
	return a, Attached{Snapshot: v, Accepted: v.Accepted, Delivered: v.Delivered}, nil
}

func (s *Session) checkAttachLocked(args *AttachArgs) error {
	if args.Seq == 0 {
		args.Seq = 1
	}
	switch {
	case s.deleted:
		return ErrNotFound
	case len(args.Token) == 0 && s.attachSeq > 0 && !args.Trusted:
		return &TokenError{Missing: true}
	case len(args.Token) > 0 && subtle.ConstantTimeCompare(args.Token, s.token[:]) == 0:
		return &TokenError{}
	case args.Seq <= s.attachSeq:
		return &SupersededError{LastSeq: s.attachSeq}
	case args.Seq > s.attachSeq+maxSeqJump:
		return &OffsetError{What: "attach_seq", Have: s.attachSeq, Got: args.Seq}
	case args.EventSeq > s.events.lastSeq:
		return &OffsetError{What: "received_event_seq", Have: s.events.lastSeq, Got: args.EventSeq}
	}
	c := s.conn
	if args.Generation > s.generation {
		return &OffsetError{What: "generation", Have: s.generation, Got: args.Generation}
	}
	if args.Generation != 0 && args.Generation != s.generation {
		return nil // of a generation that is over: its offset has no meaning now
	}
	if args.Offset > 0 && (c == nil || args.Offset > c.received) {
		have := int64(0)
		if c != nil {
			have = c.received
		}
		return &OffsetError{What: "received_offset", Have: have, Got: args.Offset}
	}
	return nil
}

// Gone is closed when another stream has taken the session.
func (a *Attachment) Gone() <-chan struct{} { return a.gone }

// Superseded is the error for the stream whose attachment is gone.
func (a *Attachment) Superseded() error {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	return &SupersededError{LastSeq: a.s.attachSeq}
}

func (a *Attachment) wake() { signal(a.kick) }

// currentLocked reads the generation of a caller's frame: 0 counts as 1, for
// those who connect once. drop: the frame belongs to another than the current.
func (a *Attachment) currentLocked(what string, generation int64) (c *connection, drop bool, err error) {
	s := a.s
	switch {
	case a.superseded:
		return nil, false, &SupersededError{LastSeq: s.attachSeq}
	case s.conn == nil:
		return nil, false, &StateError{Op: what, Have: s.state.String(), Want: "connecting or encrypted"}
	case generation == 0 && s.generation > 1:
		return nil, false, &FieldError{Field: what + ".generation", Why: "is required: the session was connected more than once"}
	case generation == 0:
		generation = 1
	}
	return s.conn, generation != s.generation, nil
}

// Write is WritePayload for bytes in one piece, which are handed over.
func (a *Attachment) Write(ctx context.Context, generation, offset int64, payload []byte) error {
	return a.WritePayload(ctx, generation, offset, whole(payload))
}

// Finish half-closes the connection after offset bytes.
func (a *Attachment) Finish(generation, offset int64) error {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	c, drop, err := a.currentLocked("finish", generation)
	switch {
	case err != nil || drop:
		return err
	case c.finishAt == offset:
		return nil
	case !c.openLocked():
		return &StateError{Op: "finish", Have: c.writeStateLocked(), Want: "open for writing"}
	case offset > c.accepted:
		return &OffsetError{What: "finish", Have: c.accepted, Got: offset, Gap: true}
	}
	return c.finishLocked("finish", &offset)
}

// CloseSocket begins to end the connection or its writing half.
func (a *Attachment) CloseSocket(how How, sendOffset *int64, generation int64) error {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	if a.superseded {
		return &SupersededError{LastSeq: a.s.attachSeq}
	}
	_, err := a.s.beginCloseLocked(how, sendOffset, generation)
	return err
}

// CloseSend notes that the caller will send no more: the socket is closed
// gracefully, and the stream ends when that is done.
func (a *Attachment) CloseSend() {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	if a.superseded {
		return
	}
	a.closing = true
	if c := a.s.conn; c != nil && !c.ended {
		_, _ = a.s.beginCloseLocked(CloseGraceful, nil, 0)
	}
	a.wake()
}

// Detach lets the session go; it does nothing if another stream has it. The
// connection is aborted, but one that is being closed gracefully goes on, and
// so does every connection with keep, for the detach grace.
func (a *Attachment) Detach(keep bool) {
	s := a.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.attachment != a {
		return
	}
	s.attachment = nil
	a.superseded, a.detached = true, true
	c := s.conn
	if c == nil || c.ended {
		if s.ephemeral && !s.deleted {
			s.deleteLocked()
		}
		s.restLocked()
		return
	}
	switch {
	case keep:
		c.detach.Reset(s.reg.cfg.DetachGrace)
	case !c.closing:
		c.stopLocked(CauseLocal, ErrCancelled, true)
	}
}
