package session

import (
	"context"
	"io"
	"time"

	"securesocket/session/resume"
)

// Refusal is a frame that could not be obeyed.
type Refusal struct {
	Frame int64 // counted from 1
	Err   error
}

// Progress says how far the caller's bytes have come. SendLimit is NoLimit where
// the session is not resumable.
type Progress = resume.Progress

// Received is bytes from the peer, at most MaxPayload. They are valid until
// Release, which must be called once; the buffer then serves other sessions.
type Received = resume.Data

// MaxPayload is how many bytes are sent in one frame. Larger ones are no faster.
const MaxPayload = 64 << 10

// Outgoing is what is to be sent next: exactly one field is set; Data is if it
// has Bytes. Progress is valid until the next call of Next.
type Outgoing struct {
	Data     Received
	Event    *Event
	Progress *Progress
	Refusal  *Refusal
	Question *Question
	Sign     *SignRequest
}

func (o *Outgoing) empty() bool { return o.Event == nil && o.Question == nil && len(o.Data.Bytes) == 0 }

// Next returns what is to be sent next; false: nothing is, and the sender ends.
// The error is io.EOF when the stream has come to its end, a SupersededError, a
// DrainingError, or why the session was abandoned.
func (a *Attachment) Next() (Outgoing, bool, error) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	out, ok, err := a.nextLocked()
	switch {
	case err != nil:
		a.sender.endLocked()
	case !ok:
		a.sender.parkLocked(a.s)
	}
	return out, ok, err
}

func (a *Attachment) nextLocked() (out Outgoing, ok bool, err error) {
	s := a.s
	switch {
	case a.detached:
		return out, false, io.EOF
	case a.superseded:
		return out, false, a.supersededLocked()
	}
	defer s.effectsLocked()
	now := time.Now()
	f, err := s.core.Next(now, a.seq, 0) // what stands before more bytes
	if err != nil {
		return out, false, err
	}
	switch f.Kind {
	case resume.FrameEvent:
		return Outgoing{Event: eventOf(f.Event)}, true, nil
	case resume.FrameProgress:
		a.progress = f.Progress
		a.progress.SendLimit = s.limitLocked(f.Progress.SendLimit)
		return Outgoing{Progress: &a.progress}, true, nil
	}
	if len(a.refusals) > 0 {
		r := a.refusals[0]
		a.refusals = a.refusals[1:]
		s.changedLocked()
		return Outgoing{Refusal: &r}, true, nil
	}
	c := s.conn
	if c != nil {
		if q := c.question; q != nil && q.ID > a.asked {
			a.asked = q.ID
			return Outgoing{Question: q}, true, nil
		}
		if r := c.signRequest; r != nil && r.ID > a.askedToSign {
			a.askedToSign = r.ID
			return Outgoing{Sign: r}, true, nil
		}
	}
	if f, err = s.core.Next(now, a.seq, MaxPayload); err != nil || f.Kind == resume.FrameData {
		return Outgoing{Data: f.Data}, err == nil, err
	}
	switch {
	case c == nil && s.over != nil && s.over != ErrNotFound: //nolint:errorlint // as it was made: abandoned
		return out, false, s.over
	case (s.over != nil || a.closing) && (c == nil || c.ended):
		return out, false, io.EOF
	case s.reg.isDrained():
		return out, false, &DrainingError{}
	}
	return out, false, nil
}

// Refuse has the caller told that a frame could not be obeyed. It waits while
// many are not sent yet, so that a caller that does not read cannot pile them
// up.
func (a *Attachment) Refuse(ctx context.Context, frame int64, err error) {
	for {
		a.s.mu.Lock()
		if len(a.refusals) < maxRefusals {
			a.refusals = append(a.refusals, Refusal{frame, err})
			a.sendSoonLocked()
			a.s.mu.Unlock()
			return
		}
		changed := a.s.nextChangeLocked()
		a.s.mu.Unlock()
		select {
		case <-changed:
		case <-a.gone:
			return
		case <-ctx.Done():
			return
		}
	}
}

const maxRefusals = 64
