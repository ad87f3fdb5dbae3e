package client

import (
	"sync"
	"time"
)

// deadline is the deadline of one direction, as net.Conn has it: an instant that can be moved while calls wait for it.
// All of it is guarded by the lock of cond, on which the calls wait.
type deadline struct {
	cond    *sync.Cond
	timer   *time.Timer // nil before the first instant
	expired bool
	set     int // counts settings: a timer that fires late knows by it that it is no longer meant
}

// moveLocked sets the deadline to t; the zero time is none. Whoever waits goes on waiting for the new instant.
func (d *deadline) moveLocked(t time.Time) {
	d.stopLocked()
	d.expired = false
	if t.IsZero() {
		return
	}
	left := time.Until(t)
	if left <= 0 {
		d.expired = true
		d.cond.Broadcast()
		return
	}
	set := d.set
	d.timer = time.AfterFunc(left, func() {
		d.cond.L.Lock()
		defer d.cond.L.Unlock()
		if d.set == set {
			d.expired = true
			d.cond.Broadcast()
		}
	})
}

// stopLocked leaves the deadline as it is, for good.
func (d *deadline) stopLocked() {
	d.set++
	if d.timer != nil {
		d.timer.Stop()
	}
}
