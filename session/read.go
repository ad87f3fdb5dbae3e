package session

import (
	"errors"
	"io"
	"os"
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

// chunk is a buffer of received bytes. It belongs to the connection until an
// attachment takes it.
type chunk struct {
	buf []byte // its capacity is chunkSize
}

// chunkSize holds two TLS records.
const chunkSize = 32 << 10

var chunkPool = sync.Pool{New: func() any { return &chunk{buf: make([]byte, 0, chunkSize)} }}

func (k *chunk) release() {
	clear(k.buf) // the next owner may be another caller
	k.buf = k.buf[:0]
	chunkPool.Put(k)
}

// readLoop reads from the peer until its end, never more than there is room
// for: a caller that does not read stops the reading of the socket.
func (c *connection) readLoop() {
	for c.waitSpace() {
		k := chunkPool.Get().(*chunk) //nolint:forcetypeassert // the pool holds nothing else
		n, err := c.tls.Read(k.buf[:chunkSize])
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
		ok := c.discard || c.held+chunkSize <= c.s.reg.cfg.BufferBytes
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
		if last := c.chunks[n-1]; len(last.buf)+len(k.buf) <= chunkSize {
			last.buf = append(last.buf, k.buf...)
			k.release()
			return
		}
	}
	c.chunks = append(c.chunks, k)
	c.held += chunkSize
	c.sealed = false
}

// sealLocked keeps bytes that come later out of the last chunk, so that the
// event being emitted stands between two chunks.
func (h *readHalf) sealLocked() { h.sealed = true }

// takeLocked hands the first chunk over, with its offset; nil if there is none.
func (c *connection) takeLocked() (*chunk, int64) {
	if len(c.chunks) == 0 {
		return nil, 0
	}
	k := c.chunks[0]
	c.chunks[0] = nil
	c.chunks = c.chunks[1:]
	c.held -= chunkSize
	offset := c.delivered
	c.delivered += int64(len(k.buf))
	signal(c.space)
	return k, offset
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
