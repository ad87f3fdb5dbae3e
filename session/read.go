package session

import (
	"errors"
	"io"
	"os"
	"time"

	"securesocket/session/resume"
	"securesocket/tlsengine"
)

// The buffers that hold bytes: what is read at once, a TLS record, and what is
// little.
const (
	chunkSize  = 64 << 10
	recordSize = 16 << 10
	littleSize = 4 << 10
)

// The pools serve all sessions.
var chunks, records, littles = resume.NewPool(chunkSize), resume.NewPool(recordSize), resume.NewPool(littleSize)

// newBuffer returns an empty buffer of exactly that capacity.
func newBuffer(capacity int) *resume.Buffer {
	switch capacity {
	case chunkSize:
		return chunks.Get()
	case recordSize:
		return records.Get()
	case littleSize:
		return littles.Get()
	}
	return resume.NewBuffer(make([]byte, 0, capacity))
}

// readLoop reads from the peer until its end, or up to where TLS is to begin, and
// never more than there is room for: a caller that does not read stops the reading
// of the socket.
func (c *connection) readLoop() {
	for {
		room := c.waitRoom()
		if room == 0 {
			return
		}
		b, err := c.read(room)
		n := 0
		if b != nil {
			n = b.Len()
		}
		if err != nil && c.endsEarly(err) && tcpClosed(c.raw) {
			c.awaitWriteError()
		}
		if !c.receive(b, err) {
			return
		}
		c.s.reg.moved.received.Add(int64(n))
		c.pace(c.ctx, n)
	}
}

// endsEarly: the peer's direction has ended without the word that it is complete.
func (c *connection) endsEarly(err error) bool {
	return causeOf(err).truncation() || c.tls == nil && errors.Is(err, io.EOF)
}

// waitRoom waits until there is room for bytes of the peer, and returns how
// much; 0: the connection has to end, or TLS is to begin.
func (c *connection) waitRoom() int {
	for {
		c.s.mu.Lock()
		c.s.accountLocked()
		room := c.s.core.Room(c.gen)
		if c.discard {
			room = recordSize
		}
		due := false
		if c.start != nil {
			room, due = c.start.plainRoomLocked(c.s.core, room)
		}
		c.s.mu.Unlock()
		if c.ctx.Err() != nil || due {
			return 0
		}
		if room > 0 {
			return room
		}
		select {
		case <-c.space:
		case <-c.ctx.Done():
			return 0
		}
	}
}

// read waits for bytes of the peer and returns what is there, up to room; nil if
// there is only the error. Nothing is held while it waits.
func (c *connection) read(room int) (*resume.Buffer, error) {
	for {
		if err := c.socket.AwaitRead(); err != nil {
			return nil, err
		}
		b := chunks.Get()
		n, err := c.socket.TryRead(b.Spare()[:min(room, chunkSize)])
		if errors.Is(err, tlsengine.ErrWouldBlock) {
			err = nil
		}
		if n > 0 {
			b.Filled(n)
			return fitting(b), err
		}
		b.Release()
		if err != nil {
			return nil, err
		}
	}
}

// fitting moves few bytes into a small buffer, so that they hold no large one.
func fitting(b *resume.Buffer) *resume.Buffer {
	pool := littles
	switch n := b.Len(); {
	case n > recordSize:
		return b
	case n > littleSize:
		pool = records
	}
	small := pool.Get()
	small.Filled(copy(small.Spare(), b.Bytes()))
	b.Release()
	return small
}

// receive takes bytes that were read, nil for none, and the error that came with
// them. false: nothing more is to be read.
func (c *connection) receive(b *resume.Buffer, err error) bool {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case b == nil:
	case c.discard || c.stopped:
		c.touchLocked()
		b.Release()
	default:
		c.touchLocked()
		if lost := s.core.Received(c.gen, b); lost != nil {
			err = Internal(s.reg.cfg.Logger, "received bytes do not fit", "error", lost)
		} else if c.start != nil { // it came while this was being read
			if lost := s.takeHelloLocked(c.start); lost != nil {
				err = Internal(s.reg.cfg.Logger, "the hello cannot be taken back", "error", lost)
			}
		}
		s.effectsLocked()
		s.changedLocked()
	}
	switch {
	case err == nil:
		return true
	case errors.Is(err, os.ErrDeadlineExceeded) && c.wokenLocked():
		return true // waitRoom finds out why
	}
	c.readEndedLocked(err)
	return false
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
	s := c.s
	if c.stopped || c.discard {
		return // the cause is known; this is our own teardown
	}
	_, _, received := s.core.Counts()
	if errors.Is(err, io.EOF) && c.start != nil {
		c.start.eof = true // before TLS: secure says so
		return
	}
	if errors.Is(err, io.EOF) && !(c.tls == nil && c.writeCause.failure()) {
		c.readCause = CausePeerCloseNotify
		if c.tls == nil {
			c.readCause = CausePeerFIN
		}
		if c.firstEnd == 0 {
			c.firstEnd = c.readCause
		}
		s.core.PeerEnded(c.gen, c.readCause)
		s.emitLocked(RemoteClosed{Cause: c.readCause, Final: received})
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
	case c.endsEarly(err) && c.writeCause.failure():
		cause, err = c.writeCause, c.failure
	}
	c.readCause = cause
	c.failLocked(cause, err)
	c.emitFailureLocked(PhaseData)
	if cause.byPeer() {
		s.emitLocked(RemoteClosed{Cause: cause, Final: received})
	}
}

// writeFailedGrace is how long the reader may go on, after writing has failed,
// to find what the peer sent before its end.
const writeFailedGrace = 2 * time.Second
