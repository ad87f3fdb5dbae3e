package session

import (
	"cmp"
	"context"
	"time"
)

// Condition is what a Wait waits for. The numbers are the wire's.
type Condition int32

// The conditions.
const (
	WaitConnected    Condition = 1
	WaitEncrypted    Condition = 2
	WaitReadyRead    Condition = 3
	WaitBytesWritten Condition = 4
	WaitDisconnected Condition = 5
)

// WaitResult is how a Wait ended: reached, timed out or, with neither, cause.
type WaitResult struct {
	Reached  bool
	TimedOut bool
	Cause    error // why it can no longer come true
	Snapshot Snapshot
}

// Wait waits for a condition of a generation, 0 = the current, or the first if
// there was none. It returns at once when the condition holds already or can no
// longer come true. The error is ErrNotFound, a StateError, a DrainingError or
// ErrCancelled.
func (s *Session) Wait(ctx context.Context, cond Condition, generation, offset int64, timeout time.Duration) (WaitResult, error) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	expired := timeout <= 0
	for {
		s.mu.Lock()
		if err := s.checkGenerationLocked("wait", generation); err != nil {
			s.mu.Unlock()
			return WaitResult{}, err
		}
		if generation == 0 {
			generation = s.core.Generation()
		}
		s.claimLocked()
		reached, cause := s.holdsLocked(cond, offset)
		if reached {
			cause = nil
		}
		if reached || cause != nil || expired {
			r := WaitResult{Reached: reached, Cause: cause, Snapshot: s.snapshotLocked()}
			r.TimedOut = !reached && cause == nil
			s.mu.Unlock()
			return r, nil
		}
		if s.reg.isDrained() {
			s.mu.Unlock()
			return WaitResult{}, &DrainingError{}
		}
		changed := s.nextChangeLocked()
		s.mu.Unlock()
		select {
		case <-changed:
		case <-timer.C:
			expired = true
		case <-ctx.Done():
			return WaitResult{}, ErrCancelled
		}
	}
}

// holdsLocked tells whether a condition holds or, if it does not, why it can
// no longer come true (nil: it can).
func (s *Session) holdsLocked(cond Condition, offset int64) (bool, error) {
	c := s.conn
	if c == nil {
		return cond == WaitDisconnected, nil
	}
	_, written, received := s.core.Counts()
	switch cond {
	case WaitConnected:
		return !c.ended && c.raw != nil, c.endLocked(0)
	case WaitEncrypted:
		return !c.ended && c.tls != nil, c.endLocked(c.barsTLS())
	case WaitReadyRead:
		return received > offset, c.endLocked(c.readCause)
	case WaitBytesWritten:
		return written >= offset, c.endLocked(c.writeCause)
	case WaitDisconnected:
		return c.ended, nil
	}
	return false, nil
}

// barsTLS is how a half of a plain connection ended, after which no StartTLS comes; 0:
// one may, or has.
func (c *connection) barsTLS() CloseCause {
	if c.tls != nil || c.start != nil {
		return 0
	}
	return cmp.Or(c.readCause, c.writeCause)
}

// endLocked says why nothing more is to be expected of a connection, or of the
// half of it that ended for cause; nil if it is open.
func (c *connection) endLocked(half CloseCause) error {
	switch {
	case !c.ended && half == 0:
		return nil
	case c.failure != nil:
		return c.failure
	case half != 0:
		return &ClosedError{Cause: half}
	}
	return &ClosedError{Cause: c.overallCause()}
}
