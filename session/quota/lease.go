package quota

import (
	"errors"
	"sync"
)

// ErrClosed says that a Lease was closed.
var ErrClosed = errors.New("the lease is closed")

// Lease is what one holder has of a [Pool], in an amount that grows and shrinks, as
// the buffers of a session do. It cannot give back more than it has, or twice.
type Lease struct {
	pool  *Pool
	owner string

	mu     sync.Mutex
	held   int64
	closed bool
}

// Lease returns a Lease that holds nothing yet. It must be closed.
func (p *Pool) Lease(owner string) *Lease { return &Lease{pool: p, owner: owner} }

// Resize makes the Lease hold n; less than 0 is 0. To grow may be refused with an
// [Error], and then it holds what it held; to shrink never is. A closed Lease
// holds nothing and refuses anything else with [ErrClosed].
func (l *Lease) Resize(n int64) error {
	n = max(n, 0)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		if n == 0 {
			return nil
		}
		return ErrClosed
	}
	if n > l.held {
		if err := l.pool.Acquire(l.owner, n-l.held); err != nil {
			return err
		}
	} else {
		l.pool.Release(l.owner, l.held-n)
	}
	l.held = n
	return nil
}

// Held is how much it holds.
func (l *Lease) Held() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held
}

// Close gives everything back, once; it does not wait.
func (l *Lease) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pool.Release(l.owner, l.held)
	l.held, l.closed = 0, true
}
