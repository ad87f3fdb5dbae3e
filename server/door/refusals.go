package door

import (
	"sync"
	"time"
)

// refusals says when what was refused may be logged, at most once a second: who
// is refused has no say in how much is written.
type refusals struct {
	mu     sync.Mutex
	last   time.Time
	silent int // refusals since then
}

// due reports whether a line may be written, and how many were not since the
// last one.
func (r *refusals) due() (more int, ok bool) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.last.IsZero() && now.Sub(r.last) < time.Second {
		r.silent++
		return 0, false
	}
	more = r.silent
	r.last, r.silent = now, 0
	return more, true
}
