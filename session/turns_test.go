package session

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// perOwner is how many an owner has at a time.
func perOwner() int { return max(1, runtime.GOMAXPROCS(0)/2) }

func TestTurnsOfOneOwnerDoNotHoldUpAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var all turns
		var dones []func()
		for range perOwner() {
			done, err := all.take(t.Context(), "hostile")
			require.NoError(t, err)
			dones = append(dones, done)
		}
		var waited atomic.Bool
		go func() {
			done, err := all.take(t.Context(), "hostile")
			waited.Store(true)
			if err == nil {
				done()
			}
		}()
		synctest.Wait()
		require.False(t, waited.Load(), "its share is used up")
		done, err := all.take(t.Context(), "another")
		require.NoError(t, err)
		done()
		dones[0]()
		synctest.Wait()
		require.True(t, waited.Load())
		for _, done := range dones[1:] {
			done()
		}
		require.Empty(t, all.owners, "who has none is forgotten")
	})
}

func TestTurnThatIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var all turns
		var dones []func()
		for range perOwner() {
			done, err := all.take(t.Context(), "owner")
			require.NoError(t, err)
			dones = append(dones, done)
		}
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(gone) })
		_, err := all.take(ctx, "owner")
		require.Equal(t, gone, err)
		for _, done := range dones {
			done()
		}
		require.Empty(t, all.owners)
		done, err := all.take(t.Context(), "owner")
		require.NoError(t, err, "nothing was lost")
		done()
	})
}

func TestTurnsAreShared(t *testing.T) {
	t.Parallel()
	var all turns
	var wg sync.WaitGroup
	var busy, most atomic.Int64
	for range 50 {
		wg.Go(func() {
			for range 20 {
				done, err := all.take(t.Context(), "owner")
				if err != nil {
					t.Error(err)
					return
				}
				n := busy.Add(1)
				for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
				}
				runtime.Gosched()
				busy.Add(-1)
				done()
			}
		})
	}
	wg.Wait()
	require.LessOrEqual(t, most.Load(), int64(perOwner()))
	require.Empty(t, all.owners)
}
