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
	// maxUnreadResumable is the same for a Conn that comes back. The service sends no more than its ring holds, 4 MiB at
	// most, beyond what is acked, so this is never reached, and receiving never stops: progress and acks wait for nobody.
	maxUnreadResumable = 8 << 20
	// maxParked is how much may come while a StartTLS is under way, which receiving must not wait for: far more than the
	// service has on its way when it learns of it.
	maxParked = 8 << 20
	// pieceCost is what a piece counts beside its bytes, for the memory of very small ones.
	pieceCost = 64
	// copyBelow is the size of payloads that are copied, in bytes, rather than hold the buffers in which they came.
	copyBelow = 4 << 10
)

// receiveBuffer is the reading half of a Conn. One goroutine (receive) puts in, any number take out.
type receiveBuffer struct {
	max int // bytes that wait for Read

	mu       sync.Mutex
	readable sync.Cond // Read waits: for data, the end, the deadline, Close
	room     sync.Cond // put waits: for Read, release, Close
	deadline deadline
	pieces   []piece // in order, from first on; those before are read
	first    int
	tail     *chunk // for copies: the last of them are at its end
	held     int    // bytes of pieces, with pieceCost each
	taken    int64  // bytes that Read has returned, counted from the start of the session
	parked   bool   // a StartTLS is under way: what is there lies beyond it, and Read waits
	released bool   // the stream is over or closing: put never waits
	err      error  // what Read returns after the last byte; set once
	closed   bool   // Close or Abort: Read returns net.ErrClosed, put discards
}

func (r *receiveBuffer) init(limit int) {
	r.max = limit
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
		case len(p) == 0:
			return 0, nil
		case r.parked:
		case r.first < len(r.pieces):
			return r.takeLocked(p), nil
		case r.err != nil:
			return 0, r.err
		}
		r.readable.Wait()
	}
}

// takeLocked copies what is there into p.
func (r *receiveBuffer) takeLocked(p []byte) (n int) {
	for r.first < len(r.pieces) && n < len(p) {
		next := &r.pieces[r.first]
		k := copy(p[n:], next.p)
		n += k
		if next.p = next.p[k:]; len(next.p) == 0 {
			next.free()
			r.first++
			r.held -= pieceCost
		}
	}
	r.held -= n
	r.taken += int64(n)
	if r.first == len(r.pieces) {
		r.forgetLocked()
	}
	// Not for every byte read: a stalled goroutine is woken for a batch of frames.
	if r.held <= r.max/2 {
		r.room.Signal()
	}
	return n
}

// forgetLocked lets everything go that is there.
func (r *receiveBuffer) forgetLocked() {
	for i := range r.pieces {
		r.pieces[i].free()
	}
	r.pieces, r.first, r.held = r.pieces[:0], 0, 0
	if r.tail != nil {
		r.tail.free()
		r.tail = nil
	}
}

// put takes over the payload of a frame but for its first skip bytes, and waits until there is room for another one. false:
// there is none, and Read is parked.
func (r *receiveBuffer) put(frame *inFrame, skip int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return true
	}
	size, memory := -skip, 0
	for _, p := range frame.pieces {
		size += len(p.p)
		memory += cap(p.p)
	}
	if size <= 0 {
		return true
	}
	// HTTP/2 frames have up to 16 KiB. In more parts, or in small parts of their buffers, it would hold much more memory
	// than it has bytes.
	copied := size < copyBelow || len(frame.pieces) > size/(8<<10)+2 || memory > 2*size
	if r.first > 0 && len(r.pieces) == cap(r.pieces) { // rather than grow
		n := copy(r.pieces, r.pieces[r.first:])
		clear(r.pieces[n:])
		r.pieces, r.first = r.pieces[:n], 0
	}
	for i := range frame.pieces {
		p := &frame.pieces[i]
		cut := min(skip, len(p.p))
		skip -= cut
		p.p = p.p[cut:]
		switch {
		case len(p.p) == 0:
			continue // inFrame.drop frees it
		case copied:
			r.copyLocked(p.p)
		default:
			r.pieces = append(r.pieces, *p)
			r.held += pieceCost
			*p = piece{}
		}
	}
	r.held += size
	r.readable.Broadcast()
	if r.held < r.max {
		return true
	}
	for r.held > r.max/2 && !r.released && !r.closed && !r.parked {
		r.room.Wait()
	}
	return !r.parked || r.held < maxParked
}

// copyLocked adds a copy of p, next to the copy before it where it can.
func (r *receiveBuffer) copyLocked(p []byte) {
	for len(p) > 0 {
		if r.tail == nil || r.tail.room() == 0 {
			if r.tail != nil {
				r.tail.free()
			}
			r.tail = newChunk(min(len(p), maxPayload))
		}
		copied := r.tail.fill(p)
		p = p[len(copied):]
		if last := len(r.pieces) - 1; last >= r.first && r.pieces[last].chunk == r.tail {
			before := &r.pieces[last].p
			*before = (*before)[:len(*before)+len(copied)]
			continue
		}
		r.tail.ref()
		r.pieces = append(r.pieces, piece{p: copied, chunk: r.tail})
		r.held += pieceCost
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
	r.forgetLocked()
	r.deadline.stopLocked()
	r.readable.Broadcast()
	r.room.Signal()
}

// returned is how many bytes Read has returned, counted from the start of the session.
func (r *receiveBuffer) returned() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.taken
}

// park makes every Read wait, until unpark, and returns how many bytes Read has returned.
func (r *receiveBuffer) park() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.parked = true
	r.room.Signal()
	return r.taken
}

// unpark lets Read go on. spoilt: what is there came in clear where TLS was to be, and is nobody's.
func (r *receiveBuffer) unpark(spoilt bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.parked = false
	if spoilt {
		r.forgetLocked()
	}
	r.readable.Broadcast()
	r.room.Signal()
}

// rewind forgets the bytes from that position on; false: Read has returned some of them.
func (r *receiveBuffer) rewind(at int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return true
	}
	keep := at - r.taken
	if keep <= 0 {
		r.forgetLocked()
		return keep == 0
	}
	for i := r.first; i < len(r.pieces); i++ {
		p := &r.pieces[i]
		left := max(int64(len(p.p))-keep, 0)
		keep -= int64(len(p.p)) - left
		p.p = p.p[:int64(len(p.p))-left]
		r.held -= int(left)
	}
	for last := len(r.pieces) - 1; last >= r.first && len(r.pieces[last].p) == 0; last-- {
		r.pieces[last].free()
		r.pieces = r.pieces[:last]
		r.held -= pieceCost
	}
	if r.tail != nil { // its end is not that of the last piece any more
		r.tail.free()
		r.tail = nil
	}
	r.room.Signal()
	return true
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
