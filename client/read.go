package client

import (
	"net"
	"os"
	"sync"
	"time"
)

const (
	// maxUnread is how much received data waits for Read, in bytes, before the receive goroutine stops receiving, which
	// closes HTTP/2's window and in the end TCP's.
	maxUnread = 1 << 20
	// frameCost is what a frame counts beside its payload, for the memory of very small ones.
	frameCost = 64
)

// receiveBuffer is the reading half of a Conn. One goroutine (receive) puts in, any number take out.
type receiveBuffer struct {
	mu       sync.Mutex
	readable sync.Cond // Read waits: for data, the end, the deadline, Close
	room     sync.Cond // put waits: for Read, release, Close
	deadline deadline
	frames   [][]byte // payloads in order, owned; the first may be partly read
	held     int      // bytes of frames, with frameCost each
	released bool     // the stream is over or closing: put never waits
	err      error    // what Read returns after the last byte; set once
	closed   bool     // Close or Abort: Read returns net.ErrClosed, put discards
}

func (r *receiveBuffer) init() {
	r.readable.L, r.room.L, r.deadline.cond = &r.mu, &r.mu, &r.readable
}

// read is Conn.Read.
func (r *receiveBuffer) read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		switch {
		case r.closed:
			return 0, net.ErrClosed
		case r.deadline.expired:
			return 0, os.ErrDeadlineExceeded
		case len(r.frames) > 0 || len(p) == 0:
			return r.takeLocked(p), nil
		case r.err != nil:
			return 0, r.err
		}
		r.readable.Wait()
	}
}

// takeLocked copies what is there into p.
func (r *receiveBuffer) takeLocked(p []byte) (n int) {
	for len(r.frames) > 0 && n < len(p) {
		k := copy(p[n:], r.frames[0])
		n += k
		r.held -= k
		if r.frames[0] = r.frames[0][k:]; len(r.frames[0]) == 0 {
			r.frames[0] = nil // lets the payload go before append moves the array
			r.frames = r.frames[1:]
			r.held -= frameCost
		}
	}
	// Not for every byte read: a stalled goroutine is woken for a batch of frames.
	if r.held <= maxUnread/2 {
		r.room.Signal()
	}
	return n
}

// put adds a payload, which it owns from now on, and waits until there is room for another one.
func (r *receiveBuffer) put(payload []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || len(payload) == 0 {
		return
	}
	r.frames = append(r.frames, payload)
	r.held += len(payload) + frameCost
	r.readable.Broadcast()
	if r.held < maxUnread {
		return
	}
	for r.held > maxUnread/2 && !r.released && !r.closed {
		r.room.Wait()
	}
}

// release lets put go on without bound: nothing more can come than what has arrived, and behind it is the reason.
func (r *receiveBuffer) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.released = true
	r.room.Signal()
}

// end says what Read returns when everything is read. The first end stands.
func (r *receiveBuffer) end(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
		r.readable.Broadcast()
	}
}

// close makes every Read return at once and discards what is there and what will come.
func (r *receiveBuffer) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.frames, r.held = nil, 0
	r.deadline.stopLocked()
	r.readable.Broadcast()
	r.room.Signal()
}

// setDeadline is Conn.SetReadDeadline.
func (r *receiveBuffer) setDeadline(t time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return net.ErrClosed
	}
	r.deadline.moveLocked(t)
	return nil
}
