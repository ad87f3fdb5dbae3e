package session

import "time"

// writeHalf is what the caller sent and waits for the peer. Guarded by the
// session's mu.
type writeHalf struct {
	accepted   int64 // bytes from the caller
	written    int64 // bytes encrypted and handed to the kernel
	queue      [][]byte
	finishAt   int64         // close_notify after this byte; -1: not asked for
	ready      chan struct{} // depth 1: to the writer, when there is something to do
	writeCause CloseCause    // 0: open
	writeDone  bool          // close_notify was written
}

// acceptLocked takes what fits of the caller's bytes. payload is handed over.
// full: the queue has no room for it now.
func (c *connection) acceptLocked(offset int64, payload []byte) (full bool, err error) {
	if offset > c.accepted && c.openLocked() {
		return false, &OffsetError{What: "data", Have: c.accepted, Got: offset, Gap: true}
	}
	if offset+int64(len(payload)) <= c.accepted {
		return false, nil // all of it came before
	}
	if !c.openLocked() {
		return false, &StateError{Op: "data", Have: c.writeStateLocked(), Want: "connecting or encrypted, before finish and close"}
	}
	payload = payload[c.accepted-offset:]
	if c.finishAt >= 0 && c.accepted+int64(len(payload)) > c.finishAt {
		return false, &StateError{Op: "data", Have: "to be finished before these bytes", Want: "open for writing"}
	}
	if pending := c.accepted - c.written; pending > 0 && pending+int64(len(payload)) > int64(c.s.reg.cfg.BufferBytes) {
		return true, nil
	}
	c.accepted += int64(len(payload))
	// Small payloads are joined: each costs a record, and more memory than it
	// has bytes.
	if n := len(c.queue); n > 0 && len(c.queue[n-1])+len(payload) <= chunkSize {
		c.queue[n-1] = append(c.queue[n-1], payload...)
	} else {
		c.queue = append(c.queue, payload)
	}
	signal(c.ready)
	return false, nil
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
		payload, finish := c.next()
		switch {
		case payload != nil:
			n, err := c.tls.Write(payload)
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
func (c *connection) next() (payload []byte, finish bool) {
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
		return nil, finish
	}
	payload = c.queue[0]
	c.queue[0] = nil
	c.queue = c.queue[1:]
	return payload, false
}

func (c *connection) wrote(n int, err error) bool {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.written += int64(n)
	if n > 0 {
		c.touchLocked()
	}
	c.s.wakeLocked()
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
