package main

import (
	"bytes"
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/tlstest/wallclock"
)

func TestThreat54TheClockIsWatched(t *testing.T) {
	t.Parallel()
	// A bubble's instants have no monotonic reading: they are made of two that have one.
	began := time.Now()
	synctest.Test(t, func(t *testing.T) {
		fake := time.Now()
		var ahead, sets atomic.Int64 // seconds; times
		now := func() time.Time {
			return wallclock.Moved(began.Add(time.Since(fake)), time.Duration(ahead.Load())*time.Second)
		}
		var out bytes.Buffer
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			clockWatch{now, time.Minute, func() { sets.Add(1) }, slog.New(slog.NewTextHandler(&out, nil))}.run(ctx)
		}()
		pass := func() {
			time.Sleep(5 * time.Minute)
			synctest.Wait()
		}
		pass()
		require.Zero(t, sets.Load())
		ahead.Store(5)
		pass()
		require.Zero(t, sets.Load(), "a small correction")
		for i, by := range []int64{3600, -3600, 0} {
			ahead.Store(by)
			pass()
			require.EqualValues(t, i+1, sets.Load())
		}
		stop()
		<-done
		require.Contains(t, out.String(), "level=WARN")
		require.Contains(t, out.String(), "by=-2h0m0s")
	})
}
