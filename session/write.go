package session

import (
	"time"

	"securesocket/session/resume"
)

// writeSize is how much is written at once: four TLS records.
const writeSize = 64 << 10

// writeSoonLocked has what is accepted written.
func (c *connection) writeSoonLocked() {
	if c.socket != nil {
		c.writer.wakeLocked(c.write)
	}
}

// writeFirstLocked has written what was accepted before the connection was up.
// Mostly that is nothing, and then it starts no writer.
func (c *connection) writeFirstLocked() {
	if c.s.core.Unwritten() {
		c.writeSoonLocked()
	}
}

// write is the writer's work.
func (c *connection) write() (parked bool) {
	c.guard(func() { parked = c.writeLoop() })
	if !parked {
		close(c.writerDone)
	}
	return parked
}

// endWriter waits for the writer's end, once the connection has to end.
func (c *connection) endWriter() {
	c.s.mu.Lock()
	running := c.writer.state == working
	c.writer.endLocked()
	c.s.mu.Unlock()
	if running {
		<-c.writerDone
	}
}

// writeLoop writes to the peer until nothing is left (true), or the writing half
// has ended.
func (c *connection) writeLoop() (parked bool) {
	for {
		w, socket, parked := c.nextWrite()
		switch {
		case len(w.Bytes) > 0:
			c.pace(c.ctx, len(w.Bytes))
			n, err := socket.Write(w.Bytes)
			w.Release()
			if !c.wrote(n, err) {
				return false
			}
		case w.Finish:
			c.writeFinished(socket.CloseWrite())
			return false
		default:
			return parked
		}
	}
}

// nextWrite returns what is to be written next, and where. Nothing: the writer is
// parked, or the writing half has ended.
func (c *connection) nextWrite() (w resume.Write, to socket, parked bool) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	to = c.socket
	w = c.s.core.NextWrite(c.gen, writeSize)
	switch {
	case len(w.Bytes) > 0:
	case w.Finish: // now: the peer's answer may be read before writeFinished runs
		c.writeCause = CauseLocal
		if c.firstEnd == 0 {
			c.firstEnd = CauseLocal
		}
	case c.writer.state == over:
	case w.Shutdown:
		c.writer.endLocked()
	default:
		return w, to, c.writer.parkLocked(c.s)
	}
	return w, to, false
}

func (c *connection) wrote(n int, err error) bool {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if n > 0 {
		now := time.Now()
		c.lastActivity = now
		s.core.Wrote(now, c.gen, n)
		s.reg.moved.sent.Add(int64(n))
	}
	if err != nil {
		c.writer.endLocked()
		c.writeEndedLocked(err)
	}
	s.effectsLocked()
	s.changedLocked()
	return err == nil
}

// lingerTimeout is how long a socket that was closed gracefully is kept for the
// peer to take what was written: closing a socket with unread bytes would reset
// it, and a reset can overtake them.
const lingerTimeout = 2 * time.Second

// writeFinished notes that close_notify, or FIN, was written, or was not.
func (c *connection) writeFinished(err error) {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	c.writer.endLocked()
	if err != nil {
		c.writeEndedLocked(err)
	} else {
		c.writeDone = true
		s.core.FinishWritten(time.Now(), c.gen)
		c.lingerLocked()
	}
	s.effectsLocked()
	s.changedLocked()
}

// lingerLocked lets the socket go once both the graceful close and the writing
// are done.
func (c *connection) lingerLocked() {
	if !c.closing || !c.writeDone {
		return
	}
	_ = c.socket.CloseWriteRaw()
	_ = c.socket.SetReadDeadline(time.Now().Add(lingerTimeout))
}

// writeEndedLocked notes that writing failed. The reader goes on for a while:
// what the peer sent before its end still counts.
func (c *connection) writeEndedLocked(err error) {
	if c.stopped {
		return
	}
	cause := causeOf(err)
	c.writeCause = cause
	c.s.core.WriteEnded(time.Now(), c.gen, cause)
	if c.cause == 0 {
		c.cause, c.failure = cause, c.dataError(cause, err)
	}
	if c.readCause != 0 && !c.closing {
		return // the reader has ended; run ends now
	}
	_ = c.socket.SetReadDeadline(time.Now().Add(writeFailedGrace))
}

func (c *connection) writeStateLocked(finished bool) string {
	switch {
	case c.ended || c.stopped:
		return "closed"
	case finished:
		return "finished before these bytes"
	case c.writeCause != 0:
		return "closed for writing"
	}
	return c.s.state.String()
}
