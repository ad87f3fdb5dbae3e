package session

import (
	"context"
	"time"

	"securesocket/session/resume"
)

// Write takes one payload for the peer from a caller without a stream, and with
// finish half-closes after it. It waits for room, for a part of the payload after
// the other. The same call may come again. The error is ErrCancelled, an
// OffsetError, a GapError, a StateError, a FieldError, ErrNotFound or an
// ExpiredError.
func (s *Session) Write(ctx context.Context, generation, offset int64, payload []byte, finish bool) (Progress, error) {
	for len(payload) > minBufferBytes { // which fits into every ring
		if _, err := s.writePart(ctx, generation, offset, payload[:minBufferBytes], false); err != nil {
			return Progress{}, err
		}
		offset, payload = offset+minBufferBytes, payload[minBufferBytes:]
	}
	return s.writePart(ctx, generation, offset, payload, finish)
}

func (s *Session) writePart(ctx context.Context, generation, offset int64, payload []byte, finish bool) (Progress, error) {
	for {
		s.mu.Lock()
		p, full, err := s.writeLocked(generation, offset, payload, finish)
		changed, renew := s.nextChangeLocked(), s.renewInLocked()
		s.mu.Unlock()
		if !full || err != nil {
			return p, err
		}
		if err := await(ctx, changed, renew); err != nil {
			return Progress{}, err
		}
	}
}

// await returns at a change, and in time for the grace to be renewed. The error
// is ErrCancelled.
func await(ctx context.Context, changed <-chan struct{}, renew time.Duration) error {
	timer := time.NewTimer(renew)
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	case <-ctx.Done():
		return ErrCancelled
	}
	return nil
}

// renewInLocked is how soon a call that waits has to renew the grace, which is
// that of the present connection.
func (s *Session) renewInLocked() time.Duration {
	if s.conn != nil {
		return s.conn.detachGrace / 3
	}
	return minDetachGrace / 3
}

func (s *Session) writeLocked(generation, offset int64, payload []byte, finish bool) (p Progress, full bool, err error) {
	if s.over != nil {
		return p, false, s.over
	}
	now := time.Now()
	s.claimLocked()
	s.renewLocked()
	if full, err = s.core.Data(now, 0, generation, offset, payload); err == nil && !full && finish {
		err = s.core.Finish(now, 0, generation, offset+int64(len(payload)))
	}
	if err = s.obeyedLocked("write", err); err != nil {
		return p, false, err
	}
	p = s.core.Progress()
	p.SendLimit = s.limitLocked(p.SendLimit)
	return p, full, nil
}

// renewLocked begins the grace of a connection anew that no stream holds. The
// core does it for a resumable one.
func (s *Session) renewLocked() {
	if c := s.conn; c != nil && !c.ended && c.socket != nil && s.attachment == nil {
		c.watchDetachLocked()
	}
}

// ReadArgs say what a caller without a stream has.
type ReadArgs struct {
	Generation int64 // of Offset
	Offset     int64 // the next byte that it expects; those before are acked
	EventSeq   int64 // the last event that it has; it is acked
	Wait       bool  // for what comes, until the generation has ended
}

// Read gives send what a caller without a stream is to have: Data, an Event or a
// Question, one at a time; Data is valid while send runs. It returns nil when the
// generation has ended, or nothing more is there and the caller does not wait.
// The error is send's, ErrCancelled, an OffsetError, a StateError, a FieldError,
// ErrNotFound, an ExpiredError or a DrainingError.
func (s *Session) Read(ctx context.Context, args ReadArgs, send func(Outgoing) error) error {
	s.mu.Lock()
	r := reading{s: s, ReadArgs: args}
	if err := s.beginReadLocked(args); err != nil {
		s.mu.Unlock()
		return err
	}
	s.mu.Unlock()
	for {
		out, changed, renew, err := r.next()
		switch {
		case err != nil:
			return err
		case !out.empty():
			err := send(out)
			out.Data.Release()
			if err != nil {
				return err
			}
			continue
		case changed == nil:
			return nil
		}
		if err := await(ctx, changed, renew); err != nil {
			return err
		}
	}
}

func (s *Session) beginReadLocked(args ReadArgs) error {
	if s.over != nil {
		return s.over
	}
	s.claimLocked()
	err := s.obeyedLocked("read", s.core.Ack(time.Now(), 0, args.Generation, args.Offset, args.EventSeq))
	s.settledLocked()
	return err
}

// reading is a Read under way: where its caller is.
type reading struct {
	s *Session
	ReadArgs
	asked int64 // the last question
}

// next returns what comes next, or a channel that is closed when there may be
// something, and when to ask again at the latest; neither: it is over.
func (r *reading) next() (out Outgoing, changed <-chan struct{}, renew time.Duration, err error) {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	s.renewLocked()
	if r.Generation == 0 || r.Generation == s.core.Generation() {
		r.Offset = s.core.Heard(r.Offset, r.EventSeq)
	}
	f, err := s.core.Read(time.Now(), r.Generation, r.Offset, r.EventSeq, MaxPayload)
	if err = s.obeyedLocked("read", err); err != nil {
		return out, nil, 0, err
	}
	switch f.Kind {
	case resume.FrameData:
		r.Offset += int64(len(f.Data.Bytes))
		return Outgoing{Data: f.Data}, nil, 0, nil
	case resume.FrameEvent:
		r.EventSeq = f.Event.Seq
		return Outgoing{Event: eventOf(f.Event)}, nil, 0, nil
	}
	if c := s.conn; c != nil && c.question != nil && c.question.ID > r.asked {
		r.asked = c.question.ID
		return Outgoing{Question: c.question}, nil, 0, nil
	}
	over := s.over != nil || s.core.Terminal() > 0 && s.core.Terminal() <= r.EventSeq
	switch {
	case over || !r.Wait:
		return out, nil, 0, nil
	case s.reg.isDrained():
		return out, nil, 0, &DrainingError{}
	}
	return out, s.nextChangeLocked(), s.renewInLocked(), nil
}
