package revocation

import (
	"context"
	"sync"
	"time"
)

// fetchTimeout is for one fetch, from the name to the last byte; checkTimeout for all that one Check waits for.
const (
	fetchTimeout = 5 * time.Second
	checkTimeout = 5 * time.Second
)

// flights lets those who want the same at the same time share one fetch. Its zero value is ready.
type flights struct {
	mu    sync.Mutex
	byKey map[cacheKey]*flight
}

// flight is one fetch. Its goroutine ends with its answer, by fetchTimeout, or soon after the last who waited has gone.
type flight struct {
	cancel context.CancelFunc
	done   chan struct{} // closed by the goroutine, after answer and err are set
	answer answer
	err    error

	waiting int // guarded by flights.mu
}

// do runs load, unless it already runs for key, and returns what it returns. One who no longer waits takes nothing from
// the others.
func (g *flights) do(ctx context.Context, key cacheKey, load func(context.Context) (answer, error)) (answer, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	g.mu.Lock()
	f, ok := g.byKey[key]
	if !ok {
		f = g.startLocked(ctx, key, load)
	}
	f.waiting++
	g.mu.Unlock()

	select {
	case <-f.done:
		return f.answer, f.err
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if f.waiting--; f.waiting == 0 {
		f.cancel()
		g.forgetLocked(key, f)
	}
	return nil, context.Cause(ctx)
}

func (g *flights) startLocked(ctx context.Context, key cacheKey, load func(context.Context) (answer, error)) *flight {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
	f := &flight{cancel: cancel, done: make(chan struct{})}
	if g.byKey == nil {
		g.byKey = make(map[cacheKey]*flight)
	}
	g.byKey[key] = f
	go func() {
		defer cancel()
		f.answer, f.err = load(ctx)
		g.mu.Lock()
		g.forgetLocked(key, f)
		g.mu.Unlock()
		close(f.done)
	}()
	return f
}

// forgetLocked lets the next one start anew. Another flight may already be in the place.
func (g *flights) forgetLocked(key cacheKey, f *flight) {
	if g.byKey[key] == f {
		delete(g.byKey, key)
	}
}
