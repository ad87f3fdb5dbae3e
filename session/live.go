package session

import (
	"context"
	"log/slog"
	"runtime"
	"runtime/debug"
	"time"
)

// run is the goroutine that connects. It ends with that, because the handshake
// has made its stack large.
func (c *connection) run(through phases) {
	growStack()
	if phase, err := c.connect(through); err != nil {
		defer c.finish()
		c.connectFailed(phase, err)
		return
	}
	go c.live()
}

// handshakeStack is what a handshake and its judgement need of a stack.
const handshakeStack = 10 << 10

// growStack makes the stack large enough for a handshake while there is nothing
// on it yet: to grow it step by step copies every frame each time.
//
//go:noinline
func growStack() {
	var room [handshakeStack]byte
	runtime.KeepAlive(&room)
}

// live is the goroutine of a connection whose bytes move: it reads until the end,
// enters TLS where a StartTLS came, and cleans up.
func (c *connection) live() {
	defer c.finish()
	for c.use() {
		if phase, err := c.secure(); err != nil {
			c.connectFailed(phase, err)
			c.closeFailed(err)
			return
		}
	}
}

// use reads until the connection has ended, or TLS is to begin (true).
func (c *connection) use() (secure bool) {
	tornDown := make(chan struct{})
	stop := context.AfterFunc(c.ctx, func() { defer close(tornDown); c.teardown() })
	c.guard(c.readLoop)
	if c.secureDue() && stop() {
		return true
	}
	select {
	case <-c.writerDone:
	case <-c.ctx.Done():
	}
	c.cancel(nil)
	<-tornDown
	c.endWriter()
	return false
}

// guard runs a half of the connection; a panic ends the connection.
func (c *connection) guard(half func()) {
	err := Guard(c.s.reg.cfg.Logger, func() error { half(); return nil })
	if err == nil {
		return
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.failLocked(CauseError, err)
}

// after is time.AfterFunc for what may meet a defect: that ends nobody else.
func (r *Registry) after(d time.Duration, f func()) *time.Timer {
	return time.AfterFunc(d, func() {
		_ = Guard(r.cfg.Logger, func() error { f(); return nil })
	})
}

// Guard runs f and turns a panic into an InternalError: what a peer sends must
// not end the service for everybody.
func Guard(log *slog.Logger, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = Internal(log, "panic", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	return f()
}
