package session

import (
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"time"
)

// readHalf is what came from the peer and waits for the caller. Guarded by the
// session's mu.
type readHalf struct {
	received  int64 // bytes from the peer
	delivered int64 // bytes handed to an attachment
	chunks    []*chunk
	held      int           // capacity of chunks
	sealed    bool          // the last chunk takes no more: an event stands after it
	discard   bool          // the caller has closed: what still comes is dropped
	space     chan struct{} // depth 1: to the reader, when held has shrunk
	readCause CloseCause    // 0: open
}

// chunk is a buffer of a connection's bytes. What came from the peer belongs to
// the connection until an attachment takes it.
type chunk struct {
	buf []byte // its capacity is readSize
}

// readSize holds one TLS record. Larger frames are made of several chunks, so
// that a reader that waits for its peer holds no more than one record's.
const readSize = 16 << 10

// chunkSize is the least room that a connection has for each direction.
const chunkSize = 2 * readSize

// chunkPool serves all sessions, so that a buffer's next owner may be another
// caller. It is not cleared in between: what is ever looked at is buf[:len], and
// len moves only over bytes that Read or copy have just written.
var chunkPool = sync.Pool{New: func() any { return &chunk{buf: make([]byte, 0, readSize)} }}

func newChunk() *chunk {
	return chunkPool.Get().(*chunk) //nolint:forcetypeassert // the pool holds nothing else
}

func (k *chunk) release() {
	k.buf = k.buf[:0]
	chunkPool.Put(k)
}

// readLoop reads from the peer until its end, never more than there is room
// for: a caller that does not read stops the reading of the socket.
func (c *connection) readLoop() {
	for c.waitSpace() {
		k := newChunk()
		n, err := c.tls.Read(k.buf[:readSize])
		k.buf = k.buf[:n]
		if err != nil && causeOf(err).truncation() && tcpClosed(c.raw) {
			c.awaitWriteError()
		}
		if !c.receive(k, err) {
			return
		}
	}
}

// waitSpace waits until there is room for a chunk. false: the connection has
// to end.
func (c *connection) waitSpace() bool {
	for {
		c.s.mu.Lock()
		ok := c.discard || c.held+readSize <= c.s.reg.cfg.BufferBytes
		c.s.mu.Unlock()
		if ok {
			return c.ctx.Err() == nil
		}
		select {
		case <-c.space:
		case <-c.ctx.Done():
			return false
		}
	}
}

// receive takes a chunk that was read, and the error that came with it. false:
// nothing more is to be read.
func (c *connection) receive(k *chunk, err error) bool {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if len(k.buf) > 0 {
		c.touchLocked()
	}
	switch {
	case len(k.buf) == 0 || c.discard || c.stopped:
		k.release()
	default:
		c.received += int64(len(k.buf))
		c.storeLocked(k)
		c.s.wakeLocked()
	}
	if err != nil {
		c.readEndedLocked(err)
		return false
	}
	return true
}

// storeLocked appends a chunk, or copies it into the last one where it fits,
// so that many small records do not hold many large buffers.
func (c *connection) storeLocked(k *chunk) {
	if n := len(c.chunks); n > 0 && !c.sealed {
		if last := c.chunks[n-1]; len(last.buf)+len(k.buf) <= readSize {
			last.buf = append(last.buf, k.buf...)
			k.release()
			return
		}
	}
	c.chunks = append(c.chunks, k)
	c.held += readSize
	c.sealed = false
}

// sealLocked keeps bytes that come later out of the last chunk, so that the
// event being emitted stands between two chunks.
func (h *readHalf) sealLocked() { h.sealed = true }

// takeLocked hands over what is there, up to MaxPieces chunks and not beyond
// limit; nil if nothing is. limit has to lie between two chunks.
func (c *connection) takeLocked(limit int64) *Received {
	if len(c.chunks) == 0 {
		return nil
	}
	r := newReceived(c.gen, c.delivered)
	for _, k := range c.chunks[:min(len(c.chunks), MaxPieces)] {
		if c.delivered >= limit {
			break
		}
		r.append(k)
		c.delivered += int64(len(k.buf))
	}
	// Moved down, not sliced off: the array is used again.
	c.chunks = slices.Delete(c.chunks, 0, len(r.Pieces))
	c.held -= len(r.Pieces) * readSize
	signal(c.space)
	return r
}

// writeErrorGrace bounds awaitWriteError, for an error that the reader's own
// writes have taken.
const writeErrorGrace = 100 * time.Millisecond

// awaitWriteError lets the writer say why the connection is gone. The kernel
// tells of an error once, to the half that asks first; the other one sees an
// EOF, as if the peer had sent FIN.
func (c *connection) awaitWriteError() {
	timer := time.NewTimer(writeErrorGrace)
	defer timer.Stop()
	select {
	case <-c.writerDone:
	case <-c.ctx.Done():
	case <-timer.C:
	}
}

// readEndedLocked notes how the peer's direction ended.
func (c *connection) readEndedLocked(err error) {
	if c.stopped || c.discard {
		return // the cause is known; this is our own teardown
	}
	if errors.Is(err, io.EOF) {
		c.readCause = CausePeerCloseNotify
		if c.firstEnd == 0 {
			c.firstEnd = CausePeerCloseNotify
		}
		c.s.emitLocked(RemoteClosed{Cause: CausePeerCloseNotify, Final: c.received})
		return
	}
	if errors.Is(err, os.ErrDeadlineExceeded) { // set when writing failed
		c.failLocked(c.cause, c.failure)
		return
	}
	cause := causeOf(err)
	err = c.dataError(cause, err)
	switch {
	case cause == CausePeerAlert && c.cause == CausePeerReset && !c.ioError:
		// The peer sent the alert before it let go of the socket, though the
		// writer met the reset first.
		c.cause, c.failure = 0, nil
	case cause.truncation() && c.writeCause.failure():
		cause, err = c.writeCause, c.failure
	}
	c.readCause = cause
	c.failLocked(cause, err)
	c.emitFailureLocked(PhaseData)
	if cause.byPeer() {
		c.s.emitLocked(RemoteClosed{Cause: cause, Final: c.received})
	}
}

// writeFailedGrace is how long the reader may go on, after writing has failed,
// to find what the peer sent before its end.
const writeFailedGrace = 2 * time.Second
