package session

import (
	"context"
)

// How says how a connection is to be closed. The numbers are the wire's.
type How int32

// The ways to close; 0 is CloseGraceful.
const (
	CloseGraceful  How = 1
	CloseWriteHalf How = 2
	CloseAbort     How = 3
)

// Close ends the connection or its writing half and waits until that is done,
// or ctx is: the close goes on then, and the error is ErrCancelled. A nil
// sendOffset means after what is accepted.
func (s *Session) Close(ctx context.Context, how How, sendOffset *int64, generation int64) error {
	s.mu.Lock()
	s.claimLocked()
	c, err := s.beginCloseLocked(how, sendOffset, generation)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if how != CloseWriteHalf {
		select {
		case <-c.done:
			return nil
		case <-ctx.Done():
			return ErrCancelled
		}
	}
	for {
		s.mu.Lock()
		over := c.writeDone || c.ended || c.writeCause > 0 && c.writeCause != CauseLocal
		changed := s.nextChangeLocked()
		s.mu.Unlock()
		if over {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ErrCancelled
		}
	}
}

// beginCloseLocked begins to close; the socket ends by itself then.
func (s *Session) beginCloseLocked(how How, sendOffset *int64, generation int64) (*connection, error) {
	if err := s.checkGenerationLocked("close", generation); err != nil {
		return nil, err
	}
	c := s.conn
	if c == nil || c.ended {
		return nil, &StateError{Op: "close", Have: s.state.String(), Want: "connecting or connected"}
	}
	accepted, written, _ := s.core.Counts()
	c.dismissed = c.dismissed || how != CloseWriteHalf
	switch how {
	case CloseAbort:
		c.stopLocked(CauseLocal, ErrCancelled, true)
		return c, nil
	case CloseWriteHalf:
		return c, c.finishLocked(sendOffset)
	}
	switch {
	case c.socket != nil && c.start == nil:
		return c, c.closeGracefullyLocked(sendOffset)
	case c.question != nil, accepted == written && sendOffset == nil, sendOffset == nil && accepted < c.start.sendOffset():
		// Closing while a question is open is a no.
		c.stopLocked(CauseLocal, ErrCancelled, false)
		return c, nil
	}
	// What was accepted still has to be written: upLocked closes.
	err := c.finishNowLocked(sendOffset)
	c.closeWhenUp = c.closeWhenUp || err == nil
	return c, err
}

// closeGracefullyLocked writes what was accepted, close_notify, and lets the
// socket go. What still comes from the peer is dropped.
func (c *connection) closeGracefullyLocked(sendOffset *int64) error {
	if c.stopped {
		return nil
	}
	if err := c.finishNowLocked(sendOffset); err != nil || c.closing {
		return err
	}
	c.letGoLocked()
	return nil
}

// letGoLocked begins the graceful end of a connection whose last byte to write
// is known.
func (c *connection) letGoLocked() {
	c.closing = true
	c.discard = true
	c.s.core.PeerEnded(c.gen, CauseLocal)
	c.s.effectsLocked()
	if c.readCause == 0 {
		c.readCause = CauseLocal
	}
	if c.firstEnd == 0 {
		c.firstEnd = CauseLocal
	}
	c.graceful = c.s.reg.after(c.s.reg.cfg.GracefulTimeout, func() {
		c.s.mu.Lock()
		defer c.s.mu.Unlock()
		c.stopLocked(CauseLocal, nil, true)
	})
	c.s.setStateLocked(StateClosing)
	c.lingerLocked()
}

// finishLocked asks for a half-close after offset bytes, nil = what is accepted.
func (c *connection) finishLocked(offset *int64) error {
	at, _, _ := c.s.core.Counts()
	if offset != nil {
		at = *offset
	}
	return c.s.obeyedLocked("close", c.s.core.CloseAt(at))
}

// finishNowLocked is finishLocked for a graceful close: without an offset, the
// bytes that a half-close may still wait for need not come.
func (c *connection) finishNowLocked(offset *int64) error {
	if offset == nil {
		return c.s.obeyedLocked("close", c.s.core.CloseNow())
	}
	return c.finishLocked(offset)
}
