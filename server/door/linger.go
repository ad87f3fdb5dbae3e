package door

import (
	"context"
	"time"
)

const (
	// maxLingering is how many RPCs that were refused may have a deadline that is to
	// come, of a caller.
	maxLingering = 16 << 10
	// strangersLingering is how many of all strangers may.
	strangersLingering = 4 * maxLingering
)

// linger counts an RPC that was refused until its deadline: grpc-go, which has made a
// context with a timer for it, does not cancel it, not even when the connection ends. If
// there are too many, it ends the connection, and reports that: RPCs that are not
// refused go with it.
func (t *Ticket) linger(ctx context.Context) (ends bool) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return false
	}
	if ends = t.lingerUntil(deadline); ends {
		hangUp(t.conn)
	}
	return ends
}

func (t *Ticket) lingerUntil(deadline time.Time) (tooMany bool) {
	d := t.door
	d.mu.Lock()
	defer d.mu.Unlock()
	caller, most := t.caller, maxLingering
	if !t.claimed.Load() {
		most = strangersLingering
	}
	if d.lingering[caller] >= most {
		if !t.ending.Swap(true) && !t.left {
			t.misusedLocked(false)
		}
		return true
	}
	d.lingering[caller]++
	time.AfterFunc(time.Until(deadline), func() { // ctx would be kept by a function of its own
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.lingering[caller]--; d.lingering[caller] == 0 {
			delete(d.lingering, caller)
		}
	})
	return false
}
