package session

import (
	"context"
	"runtime"
	"sync"

	"golang.org/x/sync/semaphore"
)

// turns shares the CPU for judging chains between owners: each may judge on half
// of the CPUs at a time, so that nobody's hostile chains hold up the others.
type turns struct {
	mu     sync.Mutex
	owners map[string]*ownerTurns
}

type ownerTurns struct {
	sem   *semaphore.Weighted
	users int // who hold or wait for a turn
}

// take waits for an owner's turn; done gives it back. The error is ctx's cause.
func (t *turns) take(ctx context.Context, owner string) (done func(), err error) {
	t.mu.Lock()
	o := t.owners[owner]
	if o == nil {
		o = &ownerTurns{sem: semaphore.NewWeighted(int64(max(1, runtime.GOMAXPROCS(0)/2)))}
		if t.owners == nil {
			t.owners = make(map[string]*ownerTurns)
		}
		t.owners[owner] = o
	}
	o.users++
	t.mu.Unlock()
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if o.users--; o.users == 0 {
			delete(t.owners, owner)
		}
	}
	if o.sem.Acquire(ctx, 1) != nil {
		leave()
		return nil, context.Cause(ctx)
	}
	return func() {
		o.sem.Release(1)
		leave()
	}, nil
}

// Turn waits for an owner's right to use the CPU for work that callers choose;
// done gives it back. The error is ctx's cause.
func (r *Registry) Turn(ctx context.Context, owner string) (done func(), err error) {
	return r.turns.take(ctx, owner)
}
