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

// flights lets those of one owner who want the same at the same time share one fetch. Its zero value is ready.
type flights struct {
	mu    sync.Mutex
	byKey map[flightKey]*flight
}

// flightKey is what is wanted, and from whom.
type flightKey struct {
	cacheKey

	url string
}

// flight is one fetch. Its goroutine ends with its answer, by fetchTimeout, or soon after the last who waited has gone.
type flight struct {
	cancel context.CancelFunc
	turn   *turn         // of the starter
	done   chan struct{} // closed by the goroutine, after answer and err are set
	answer answer
	err    error

	waiting int // guarded by flights.mu
}

// do runs load, unless it already runs for key, and returns what it returns, with how long its turn was waited for. t is
// the turn that load takes. One who no longer waits takes nothing from the others, and neither does one who started the
// fetch and cannot pay for it, or gets too few turns for it: the others start it anew.
func (g *flights) do(ctx context.Context, key flightKey, t *turn, load func(context.Context) (answer, error)) (answer, time.Duration, error) {
	for {
		if ctx.Err() != nil {
			return nil, 0, context.Cause(ctx)
		}
		f, mine := g.join(ctx, key, t, load)
		a, err := g.wait(ctx, key, f, mine)
		if mine || !starters(err) {
			return a, f.turn.waited(), err
		}
	}
}

func (g *flights) join(ctx context.Context, key flightKey, t *turn, load func(context.Context) (answer, error)) (_ *flight, mine bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f, ok := g.byKey[key]
	if !ok {
		f = g.startLocked(ctx, key, t, load)
	}
	f.waiting++
	return f, !ok
}

// turnPatience is how long others let a flight wait for its starter's turn.
const turnPatience = 500 * time.Millisecond

func (g *flights) wait(ctx context.Context, key flightKey, f *flight, mine bool) (answer, error) {
	ticker := time.NewTicker(turnPatience)
	defer ticker.Stop()
	for {
		select {
		case <-f.done:
			return f.answer, f.err
		case <-ctx.Done():
			g.leave(key, f, false)
			return nil, context.Cause(ctx)
		case <-ticker.C:
			if !mine && f.turn.waited() >= turnPatience {
				g.leave(key, f, true)
				return nil, noTurn
			}
		}
	}
}

// leave ends a flight that nobody waits for. One that is called late is left to those who are in it.
func (g *flights) leave(key flightKey, f *flight, late bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f.waiting--; f.waiting == 0 {
		f.cancel()
	}
	if f.waiting == 0 || late {
		g.forgetLocked(key, f)
	}
}

// startLocked starts a goroutine, in which load must not panic: nobody's recover reaches it.
func (g *flights) startLocked(ctx context.Context, key flightKey, t *turn, load func(context.Context) (answer, error)) *flight {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
	f := &flight{cancel: cancel, turn: t, done: make(chan struct{}), err: defect}
	if g.byKey == nil {
		g.byKey = make(map[flightKey]*flight)
	}
	g.byKey[key] = f
	go func() {
		defer func() { // even when load ends the goroutine
			cancel()
			g.mu.Lock()
			g.forgetLocked(key, f)
			g.mu.Unlock()
			close(f.done)
		}()
		f.answer, f.err = load(ctx)
	}()
	return f
}

// forgetLocked lets the next one start anew. Another flight may already be in the place.
func (g *flights) forgetLocked(key flightKey, f *flight) {
	if g.byKey[key] == f {
		delete(g.byKey, key)
	}
}
