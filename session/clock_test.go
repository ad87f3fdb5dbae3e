package session

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var errRanOut = errors.New("the clock ran out")

// ranFor waits for the end of ctx and says after how long it came.
func ranFor(ctx context.Context, t *testing.T, began time.Time) time.Duration {
	t.Helper()
	<-ctx.Done()
	require.Equal(t, errRanOut, context.Cause(ctx))
	return time.Since(began)
}

func TestClockRunsOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		ctx, _, stop := startClock(t.Context(), 10*time.Second, errRanOut)
		defer stop()
		require.Equal(t, 10*time.Second, ranFor(ctx, t, began))
	})
}

func TestClockStandsStillInAPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		ctx, clock, stop := startClock(t.Context(), 10*time.Second, errRanOut)
		defer stop()
		for range 3 {
			time.Sleep(3 * time.Second)
			resume := clock.pause()
			time.Sleep(time.Hour)
			synctest.Wait()
			require.NoError(t, ctx.Err(), "paused")
			resume()
		}
		require.Equal(t, 3*time.Hour+10*time.Second, ranFor(ctx, t, began), "the second that was left")
	})
}

func TestPauseOfAClockThatRanOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		ctx, clock, stop := startClock(t.Context(), time.Second, errRanOut)
		defer stop()
		require.Equal(t, time.Second, ranFor(ctx, t, began))
		clock.pause()()
		require.Equal(t, errRanOut, context.Cause(ctx), "it stays so")
	})
}

func TestStoppedClockHasNoCause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, clock, stop := startClock(t.Context(), time.Second, errRanOut)
		resume := clock.pause()
		stop()
		resume() // the decision may come after the handshake's end
		time.Sleep(time.Minute)
		require.Equal(t, context.Canceled, context.Cause(ctx))
	})
}

func TestClockEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("gone")
		parent, cancel := context.WithCancelCause(t.Context())
		ctx, clock, stop := startClock(parent, time.Hour, errRanOut)
		defer stop()
		defer clock.pause()()
		cancel(gone)
		<-ctx.Done()
		require.Equal(t, gone, context.Cause(ctx))
	})
}
