package session

import (
	"context"
	"sync"
	"time"
)

// handshakeClock ends a context when it has run for its limit. It can stand
// still, while a decision is waited for.
type handshakeClock struct {
	limit  time.Duration
	cancel context.CancelCauseFunc

	mu    sync.Mutex
	timer *time.Timer
	left  time.Duration
	since time.Time // when it last began to run
}

// startClock returns a context that ends with cause when the clock has run for
// limit. stop must be called.
func startClock(ctx context.Context, limit time.Duration, cause error) (_ context.Context, c *handshakeClock, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	c = &handshakeClock{limit: limit, cancel: cancel, left: limit, since: time.Now()}
	c.timer = time.AfterFunc(limit, func() { cancel(cause) })
	return ctx, c, func() {
		c.timer.Stop()
		cancel(nil)
	}
}

// pause lets the clock stand still until resume is called.
func (c *handshakeClock) pause() (resume func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.timer.Stop() {
		return func() {} // it has run out
	}
	c.left -= time.Since(c.since)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.since = time.Now()
		c.timer.Reset(max(c.left, 0))
	}
}

// end is when the clock runs out, if it does not stand still meanwhile.
func (c *handshakeClock) end() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.since.Add(c.left)
}
