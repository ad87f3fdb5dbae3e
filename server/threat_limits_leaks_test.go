package server_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	pb "securesocket/gen/securesocket/v1"
)

// rounds is how many sessions TestThreat57 aborts in each of its two rounds, about.
func rounds() int {
	switch {
	case raceEnabled:
		return 960
	case testing.Short():
		return 2_000
	}
	return 20_000
}

// TestThreat57NothingIsLeftWhateverIsAbortedWhere has sessions in twelve states, each of
// which is ended in four ways, in two rounds: the second leaves no goroutine, no
// descriptor and no heap that the first did not, but for noise.
//
// Not parallel: it counts what the process holds.
func TestThreat57NothingIsLeftWhateverIsAbortedWhere(t *testing.T) {
	const heapNoise, goroutineNoise = 4 << 20, 4
	w := newAbortWorld(t, 10*time.Second)
	for _, state := range abortStates {
		t.Run(state.name, func(t *testing.T) { w.isReached(t, state) })
	}
	if t.Failed() {
		return
	}
	type holding struct {
		goroutines, descriptors int
		heap                    int64
	}
	round := func() (h holding) {
		began := time.Now()
		each := len(abortStates) * len(aborters)
		var g errgroup.Group
		g.SetLimit(3)
		if raceEnabled {
			g.SetLimit(1) // what nobody holds has to last as long as a batch
		}
		for range max(1, rounds()/each) {
			g.Go(w.batch)
		}
		require.NoError(t, g.Wait())
		require.Eventually(t, func() bool {
			s := w.svc.Registry.Stats()
			return s.Sessions+s.Connections+s.Listeners == 0 && s.Handshakes == 0 && s.Buffered == 0
		}, patience, 10*time.Millisecond, "%+v", w.svc.Registry.Stats())
		require.Zero(t, w.descriptors.Total())
		// What ends by itself, as grpc-go's goroutines of a connection that was cut, has time.
		for stood, last := 0, 0; stood < 5; time.Sleep(20 * time.Millisecond) {
			if h.goroutines = runtime.NumGoroutine(); h.goroutines != last {
				stood, last = 0, h.goroutines
			}
			stood++
		}
		h.descriptors, h.heap = descriptors(t), memoryNow().Heap
		t.Logf("%d sessions in %v: %+v", w.reached.Swap(0), time.Since(began).Round(time.Millisecond), h)
		return h
	}
	first := round()
	second := round()
	require.LessOrEqual(t, second.goroutines, first.goroutines+goroutineNoise)
	require.LessOrEqual(t, second.descriptors, first.descriptors)
	require.LessOrEqual(t, second.heap, first.heap+heapNoise)
}

// isReached sees that a session is in the state, as its owner is told.
func (w *abortWorld) isReached(t *testing.T, state abortState) {
	t.Helper()
	c := w.connect()
	defer c.cut()
	l, err := w.reach(t.Context(), c, state)
	require.NoError(t, err)
	got, err := w.c.c.GetSession(t.Context(), &pb.GetSessionRequest{SessionId: l.id})
	require.NoError(t, err)
	require.Equal(t, state.want, got.GetSession().GetState())
	require.Equal(t, state.name == "detached" || state.name == "unclaimed", !got.GetSession().GetAttached())
	require.NoError(t, l.abort("delete"))
	_, err = w.c.c.GetSession(t.Context(), &pb.GetSessionRequest{SessionId: l.id})
	require.Equal(t, "SESSION_NOT_FOUND", reasonOf(t, err))
}

// batch has one session in every state for every aborter, all at once, and then ends
// them all.
func (w *abortWorld) batch() error {
	stays, goes := w.connect(), w.connect()
	defer stays.cut()
	defer goes.cut()
	var reaching errgroup.Group
	reaching.SetLimit(16)
	leaves := make([]*leaf, len(abortStates)*len(aborters))
	for i, state := range abortStates {
		for j, by := range aborters {
			c := stays
			if by == "cut" {
				c = goes
			}
			reaching.Go(func() error {
				l, err := w.reach(w.ctx, c, state)
				if err != nil {
					return fmt.Errorf("%s, to be ended by %s: %w", state.name, by, err)
				}
				leaves[i*len(aborters)+j] = l
				w.reached.Add(1)
				return nil
			})
		}
	}
	if err := reaching.Wait(); err != nil {
		return err
	}
	goes.cut()
	var ending errgroup.Group
	for i, l := range leaves {
		ending.Go(func() error { return l.abort(aborters[i%len(aborters)]) })
	}
	return ending.Wait()
}
