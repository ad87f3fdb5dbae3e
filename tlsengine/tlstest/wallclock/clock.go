// Package wallclock has a clock for tests that is set while its monotonic part goes on, as an operator or NTP sets a
// machine's. What a fake clock does that is moved by time.Time.Add is another thing: that moves both parts, and hides who
// compares the wrong ones.
package wallclock

import (
	"sync/atomic"
	"time"
	"unsafe"
)

// Clock is time.Now with a wall that can be set. The zero value is right. It may be used by many at once.
type Clock struct{ ahead atomic.Int64 }

// Set moves the wall to so far ahead of the true time, or behind it, in whole seconds.
func (c *Clock) Set(ahead time.Duration) { c.ahead.Store(int64(ahead / time.Second)) }

// Now is what time.Now would say.
func (c *Clock) Now() time.Time { return Moved(time.Now(), time.Duration(c.ahead.Load())*time.Second) }

// Moved is an instant of time.Now as it would be if the wall had been set, by whole seconds. It panics where this version
// of Go keeps its instants in another way.
func Moved(t time.Time, by time.Duration) time.Time {
	const nanosecondBits = 30
	moved := t
	(*instant)(unsafe.Pointer(&moved)).wall += uint64(by/time.Second) << nanosecondBits //nolint:gosec // it wraps
	if moved.Sub(t) != 0 || moved.Round(0).Sub(t.Round(0)) != by.Truncate(time.Second) {
		panic("wallclock: time.Time is not what it was")
	}
	return moved
}

// instant is a time.Time with a monotonic reading: a bit that says so, 33 of seconds and 30 of nanoseconds.
type instant struct {
	wall uint64
	_    int64
	_    *time.Location
}
