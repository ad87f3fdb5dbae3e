package main

import (
	"context"
	"log/slog"
	"time"
)

// clockWatch warns when the wall clock is set: certificates, revocation and tokens are judged by it, and a wrong one
// believes what has expired. Timers do not go by it.
type clockWatch struct {
	now   func() time.Time
	every time.Duration
	set   func() // told of each time
	log   *slog.Logger
}

// clockStep is what is not taken for the slow correction of a clock.
const clockStep = 10 * time.Second

func (c clockWatch) run(ctx context.Context) {
	ticker := time.NewTicker(c.every)
	defer ticker.Stop()
	for last := c.now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			now := c.now()
			// The wall clock's share, and that of the monotonic one, which stands while the machine sleeps.
			if by := now.Round(0).Sub(last.Round(0)) - now.Sub(last); by.Abs() >= clockStep {
				c.set()
				c.log.Warn("the clock was set, or the machine slept: new handshakes and calls are judged by the new time", "by", by.Round(time.Second))
			}
			last = now
		}
	}
}
