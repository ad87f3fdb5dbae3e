package session

import (
	"context"
	"io"
	"math"
	"sync"
)

// Refusal is a frame that could not be obeyed.
type Refusal struct {
	Frame int64 // counted from 1
	Err   error
}

// Progress says how far the caller's bytes have come.
type Progress struct {
	Generation, Accepted, Written int64
}

// Received is bytes from the peer. It is valid until Release, which must be
// called once; the buffers then serve other sessions.
type Received struct {
	Generation, Offset int64
	// The bytes, in at most MaxPieces pieces. A piece's capacity is its buffer's:
	// 16 KiB.
	Pieces [][]byte

	chunks [MaxPieces]*chunk
	pieces [MaxPieces][]byte // the array of Pieces
}

// MaxPieces bounds the pieces of a Received: 64 KiB in full ones. Larger frames
// are no faster.
const MaxPieces = 4

var receivedPool = sync.Pool{New: func() any { return new(Received) }}

func newReceived(generation, offset int64) *Received {
	r := receivedPool.Get().(*Received) //nolint:forcetypeassert // the pool holds nothing else
	r.Generation, r.Offset, r.Pieces = generation, offset, r.pieces[:0]
	return r
}

// append takes a chunk over.
func (r *Received) append(k *chunk) {
	r.chunks[len(r.Pieces)] = k
	r.Pieces = append(r.Pieces, k.buf)
}

// Release gives the buffers back.
func (r *Received) Release() {
	for _, k := range r.chunks {
		if k != nil {
			k.release()
		}
	}
	*r = Received{}
	receivedPool.Put(r)
}

// Outgoing is what is to be sent next: exactly one field is set. Progress is
// valid until the next call of Next.
type Outgoing struct {
	Data     *Received
	Event    *Event
	Progress *Progress
	Refusal  *Refusal
	Question *Question
	Sign     *SignRequest
}

// Next waits for what is to be sent next. The error is io.EOF when the stream
// has come to its end, a SupersededError, a DrainingError or ctx's.
func (a *Attachment) Next(ctx context.Context) (Outgoing, error) {
	for {
		a.s.mu.Lock()
		out, ok, err := a.nextLocked()
		a.s.mu.Unlock()
		if ok || err != nil {
			return out, err
		}
		select {
		case <-a.kick:
		case <-ctx.Done():
			return Outgoing{}, ctx.Err()
		}
	}
}

func (a *Attachment) nextLocked() (out Outgoing, ok bool, err error) {
	s := a.s
	if a.detached {
		return out, false, io.EOF
	}
	if a.superseded {
		return out, false, &SupersededError{LastSeq: s.attachSeq}
	}
	c := s.conn
	e := s.events.after(a.cursor)
	limit := int64(math.MaxInt64)
	if e != nil && c != nil && e.Generation == c.gen && e.Offset > c.delivered {
		e, limit = nil, e.Offset // bytes come before it
	}
	// The last progress comes before the end, any other after what happened.
	if _, last := kindOf(e).(Closed); e == nil || last {
		if p := a.progressLocked(); p != nil {
			return Outgoing{Progress: p}, true, nil
		}
	}
	if e != nil {
		a.cursor = e.Seq
		return Outgoing{Event: e}, true, nil
	}
	if len(a.refusals) > 0 {
		r := a.refusals[0]
		a.refusals = a.refusals[1:]
		s.wakeLocked()
		return Outgoing{Refusal: &r}, true, nil
	}
	if c != nil {
		if q := c.question; q != nil && q.ID > a.asked {
			a.asked = q.ID
			return Outgoing{Question: q}, true, nil
		}
		if r := c.signRequest; r != nil && r.ID > a.askedToSign {
			a.askedToSign = r.ID
			return Outgoing{Sign: r}, true, nil
		}
		if r := c.takeLocked(limit); r != nil {
			return Outgoing{Data: r}, true, nil
		}
	}
	switch {
	case (s.deleted || a.closing) && (c == nil || c.ended):
		return out, false, io.EOF
	case s.reg.isDrained():
		return out, false, &DrainingError{}
	}
	return out, false, nil
}

func kindOf(e *Event) EventKind {
	if e == nil {
		return nil
	}
	return e.Kind
}

// progressStep is how far bytes move on before it is told, unless all are
// written: every step costs a message.
const progressStep = 64 << 10

// progressLocked returns the progress that is worth telling, or nil.
func (a *Attachment) progressLocked() *Progress {
	c := a.s.conn
	if c == nil {
		return nil
	}
	p := Progress{c.gen, c.accepted, c.written}
	if a.reported.Generation != c.gen {
		a.reported = Progress{Generation: c.gen}
	}
	switch {
	case p == a.reported:
		return nil
	case p.Written == p.Accepted, p.Written-a.reported.Written >= progressStep, c.ended:
		a.reported = p
		return &a.reported // only Next changes it
	}
	return nil
}

// Refuse has the caller told that a frame could not be obeyed. It waits while
// many are not sent yet, so that a caller that does not read cannot pile them
// up.
func (a *Attachment) Refuse(ctx context.Context, frame int64, err error) {
	for {
		a.s.mu.Lock()
		if len(a.refusals) < maxRefusals {
			a.refusals = append(a.refusals, Refusal{frame, err})
			a.wake()
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
