package main

import (
	"bytes"
	"context"
	"log/slog"
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
		var ahead time.Duration
		now := func() time.Time { return wallclock.Moved(began.Add(time.Since(fake)), ahead) }
		var out bytes.Buffer
		sets := 0
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			clockWatch{now, time.Minute, func() { sets++ }, slog.New(slog.NewTextHandler(&out, nil))}.run(ctx)
		}()
		pass := func() {
			time.Sleep(5 * time.Minute)
			synctest.Wait()
		}
		pass()
		require.Zero(t, sets)
		ahead = 5 * time.Second
		pass()
		require.Zero(t, sets, "a small correction")
		for i, by := range []time.Duration{time.Hour, -time.Hour, 0} {
			ahead = by
			pass()
			require.Equal(t, i+1, sets)
		}
		stop()
		<-done
		require.Contains(t, out.String(), "level=WARN")
		require.Contains(t, out.String(), "by=-2h0m0s")
	})
}
