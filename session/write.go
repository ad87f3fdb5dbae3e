package session

import (
	"context"
	"io"
	"slices"
	"time"
)

// writeHalf is what the caller sent and waits for the peer. Guarded by the
// session's mu.
type writeHalf struct {
	accepted   int64 // bytes from the caller
	written    int64 // bytes encrypted and handed to the kernel
	queue      []pending
	finishAt   int64         // close_notify after this byte; -1: not asked for
	ready      chan struct{} // depth 1: to the writer, when there is something to do
	room       chan struct{} // depth 1: to WritePayload, when bytes were written; made when it first waits
	writeCause CloseCause    // 0: open
	writeDone  bool          // close_notify was written
}

// Payload is bytes of the caller in the buffers in which they came.
type Payload interface {
	// Pieces returns the bytes in order. They stay as they are until Release.
	Pieces() [][]byte
	// Release gives the buffers back; it is called once. It neither waits nor
	// calls back.
	Release()
}

// whole is a payload in one slice, which the garbage collector frees.
type whole []byte

func (w whole) Pieces() [][]byte { return [][]byte{w} }
func (whole) Release()           {}

// pending is bytes that wait for the peer: a payload, or small ones that were
// copied into a chunk of the connection's.
type pending struct {
	payload Payload
	skip    int // bytes of payload that came before
	joined  *chunk
}

// maxJoined is the largest payload that is joined with its neighbours. Small
// ones are: each costs a record, and holds more memory than it has bytes.
const maxJoined = 8 << 10

// WritePayload is Write for a payload that is in several buffers, or is to be
// given back: it is handed over, and released when it has been written to the
// peer, was copied, or is refused. Of a connection that ends before, it is left
// to the garbage collector.
func (a *Attachment) WritePayload(ctx context.Context, generation, offset int64, payload Payload) error {
	s := a.s
	for {
		s.mu.Lock()
		c, drop, err := a.currentLocked("data", generation)
		if err != nil || drop {
			s.mu.Unlock()
			payload.Release()
			return err
		}
		full, err := c.acceptLocked(offset, payload)
		switch {
		case full && c.room == nil:
			c.room = make(chan struct{}, 1)
		case err == nil && !full:
			a.wake() // progress
		}
		s.mu.Unlock()
		if !full {
			return err
		}
		if err := a.waitRoom(ctx, c); err != nil {
			payload.Release()
			return err
		}
	}
}

// waitRoom waits until there may be room in c's queue, or c has ended, or a is
// superseded. The error is ctx's.
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

// acceptLocked takes what fits of the caller's bytes. full: the queue has
// no room for it now, and payload is the caller's still; else it is handed over.
func (c *connection) acceptLocked(offset int64, payload Payload) (full bool, err error) {
	size := 0
	for _, piece := range payload.Pieces() {
		size += len(piece)
	}
	end := offset + int64(size)
	switch {
	case offset > c.accepted && c.openLocked():
		err = &OffsetError{What: "data", Have: c.accepted, Got: offset, Gap: true}
	case end <= c.accepted: // all of it came before
	case !c.openLocked():
		err = &StateError{Op: "data", Have: c.writeStateLocked(), Want: "connecting or encrypted, before finish and close"}
	case c.finishAt >= 0 && end > c.finishAt:
		err = &StateError{Op: "data", Have: "to be finished before these bytes", Want: "open for writing"}
	case c.accepted > c.written && end-c.written > int64(c.s.reg.cfg.BufferBytes):
		return true, nil
	default:
		c.enqueueLocked(pending{payload: payload, skip: int(c.accepted - offset)}, int(end-c.accepted))
		c.accepted = end
		signal(c.ready)
		return false, nil
	}
	payload.Release()
	return false, err
}

// enqueueLocked appends the size bytes of p, or joins them with what is there.
func (c *connection) enqueueLocked(p pending, size int) {
	if size > maxJoined {
		c.queue = append(c.queue, p)
		return
	}
	n := len(c.queue)
	if n == 0 || c.queue[n-1].joined == nil || len(c.queue[n-1].joined.buf)+size > readSize {
		c.queue = append(c.queue, pending{joined: newChunk()})
		n++
	}
	k := c.queue[n-1].joined
	for _, piece := range p.payload.Pieces() {
		skip := min(p.skip, len(piece))
		p.skip -= skip
		k.buf = append(k.buf, piece[skip:]...)
	}
	p.payload.Release()
}

// writeTo writes the bytes, and gives the buffers back.
func (p *pending) writeTo(w io.Writer) (written int, err error) {
	if p.joined != nil {
		defer p.joined.release()
		return w.Write(p.joined.buf)
	}
	defer p.payload.Release()
	for _, piece := range p.payload.Pieces() {
		skip := min(p.skip, len(piece))
		p.skip -= skip
		if skip == len(piece) {
			continue
		}
		n, err := w.Write(piece[skip:])
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// openLocked: bytes of the caller can still be accepted.
func (c *connection) openLocked() bool {
	return !c.stopped && !c.ended && c.writeCause == 0 && (c.finishAt < 0 || c.accepted < c.finishAt)
}

func (c *connection) writeStateLocked() string {
	switch {
	case c.ended || c.stopped:
		return "closed"
	case c.finishAt >= 0:
		return "finished"
	case c.writeCause != 0:
		return "closed for writing"
	}
	return c.s.state.String()
}

// finishLocked asks for a half-close after offset bytes, nil = what is
// accepted.
func (c *connection) finishLocked(what string, offset *int64) error {
	at := c.accepted
	if offset != nil {
		at = *offset
	}
	switch {
	case at < c.accepted:
		return &OffsetError{What: what, Have: c.accepted, Got: at}
	case c.finishAt >= 0 && c.finishAt != at:
		return &OffsetError{What: what, Have: c.finishAt, Got: at}
	}
	c.finishAt = at
	signal(c.ready)
	return nil
}

// writeLoop writes to the peer until the writing half has ended.
func (c *connection) writeLoop() {
	for {
		p, ok, finish := c.next()
		switch {
		case ok:
			n, err := p.writeTo(c.tls)
			if !c.wrote(n, err) {
				return
			}
		case finish:
			c.writeFinished(c.tls.CloseWrite())
			return
		default:
			select {
			case <-c.ready:
			case <-c.ctx.Done():
				return
			}
		}
	}
}

// next returns the next bytes to write, or whether close_notify is due.
func (c *connection) next() (p pending, ok, finish bool) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if len(c.queue) == 0 {
		finish = c.finishAt >= 0 && c.written == c.finishAt
		if finish { // now: the peer's answer may be read before writeFinished runs
			c.writeCause = CauseLocal
			if c.firstEnd == 0 {
				c.firstEnd = CauseLocal
			}
		}
		return pending{}, false, finish
	}
	p = c.queue[0]
	c.queue = slices.Delete(c.queue, 0, 1)
	return p, true, false
}

func (c *connection) wrote(n int, err error) bool {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.written += int64(n)
	if n > 0 {
		c.touchLocked()
	}
	c.s.wakeLocked()
	signal(c.room)
	if err != nil {
		c.writeEndedLocked(err)
		return false
	}
	return true
}

// lingerTimeout is how long a socket that was closed gracefully is kept for the
// peer to take what was written: closing a socket with unread bytes would reset
// it, and a reset can overtake them.
const lingerTimeout = 2 * time.Second

// writeFinished notes that close_notify was written, or was not.
func (c *connection) writeFinished(err error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if err != nil {
		c.writeEndedLocked(err)
		return
	}
	c.writeDone = true
	c.lingerLocked()
	c.s.wakeLocked()
}

// lingerLocked lets the socket go once both the graceful close and the writing
// are done.
func (c *connection) lingerLocked() {
	if !c.closing || !c.writeDone {
		return
	}
	_ = c.tls.CloseWriteRaw()
	_ = c.tls.SetReadDeadline(time.Now().Add(lingerTimeout))
}

// writeEndedLocked notes that writing failed. The reader goes on for a while:
// what the peer sent before its end still counts.
func (c *connection) writeEndedLocked(err error) {
	defer c.s.wakeLocked()
	if c.stopped {
		return
	}
	cause := causeOf(err)
	c.writeCause = cause
	if c.cause == 0 {
		c.cause, c.failure = cause, c.dataError(cause, err)
	}
	if c.readCause != 0 && !c.closing {
		return // the reader has ended; run ends now
	}
	_ = c.tls.SetReadDeadline(time.Now().Add(writeFailedGrace))
}
