package main

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest/h2attack"
)

// floodMemory is what a flood may add to the memory of the service.
const floodMemory = 64 << 20

// TestThreat38Floods has a caller flood the service in every way there is, while another
// connection of the same caller is used well: its calls all succeed, and the service
// grows by no more than it may. How long they take is logged: see the benchmark.
func TestThreat38Floods(t *testing.T) { //nolint:paralleltest // it measures latency
	o := h2attack.Options{Count: 12_000, Timeout: 4 * time.Second, Path: pb.SecureSocketService_GetCapabilities_FullMethodName}
	if testing.Short() {
		o.Count = 3_000
	}
	d := startFronted(t)
	c := d.client(t)
	before := during(t, c, func() { time.Sleep(100 * time.Millisecond) })
	baseline := d.resident(t)
	for _, attack := range h2attack.Floods() {
		t.Run(attack.Name, func(t *testing.T) { //nolint:paralleltest // one after the other
			peak := baseline
			var r h2attack.Result
			var err error
			p99 := during(t, c, func() { r, err = attack.Run(t.Context(), d.raw, o) }, func() { peak = max(peak, d.resident(t)) })
			require.NoError(t, err)
			require.Positive(t, r.Frames)
			require.Less(t, peak-baseline, floodMemory)
			t.Logf("p99 %v, before %v; memory +%d KiB; %d frames, %v, goaway %v %v", p99, before, (peak-baseline)>>10, r.Frames, r.End, r.GoAway, r.Code)
		})
	}
	require.NotContains(t, d.log(), "panic")
}

// during calls the service for as long as f runs, and returns what most calls took at most.
func during(tb testing.TB, c pb.SecureSocketServiceClient, f func(), between ...func()) (p99 time.Duration) {
	tb.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	var took []time.Duration
	for over := false; !over || len(took) == 0; {
		began := time.Now()
		ctx, cancel := context.WithTimeout(tb.Context(), patience)
		_, err := c.GetCapabilities(ctx, &pb.GetCapabilitiesRequest{})
		cancel()
		require.NoError(tb, err)
		took = append(took, time.Since(began))
		for _, f := range between {
			f()
		}
		select {
		case <-done:
			over = true
		default:
		}
	}
	<-done
	slices.Sort(took)
	return took[len(took)*99/100]
}

// BenchmarkThreat38Neighbour is a call beside somebody who floods without end.
func BenchmarkThreat38Neighbour(b *testing.B) {
	for _, attack := range append([]h2attack.Named{{Name: "nothing"}}, h2attack.Floods()...) {
		b.Run(attack.Name, func(b *testing.B) {
			d := startFronted(b)
			c := d.client(b)
			ctx, cancel := context.WithCancel(b.Context())
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				for ctx.Err() == nil && attack.Run != nil {
					if _, err := attack.Run(ctx, d.raw, h2attack.Options{Count: 100_000, Path: pb.SecureSocketService_GetCapabilities_FullMethodName}); err != nil {
						time.Sleep(time.Millisecond) // it has no room for another connection
					}
				}
			}()
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				_, err := c.GetCapabilities(b.Context(), &pb.GetCapabilitiesRequest{})
				require.NoError(b, err)
				took = append(took, time.Since(began))
			}
			cancel()
			<-ended
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
		})
	}
}

// TestThreat40CompressedMessages: nothing that the service is made of has registered a
// compressor either.
func TestThreat40CompressedMessages(t *testing.T) {
	t.Parallel()
	d := startFronted(t)
	for _, path := range []string{pb.SecureSocketService_CreateSession_FullMethodName, pb.SecureSocketService_Attach_FullMethodName} {
		r, err := h2attack.GzipMessage(t.Context(), d.raw, h2attack.Options{Path: path})
		require.NoError(t, err)
		require.Equal(t, map[string]int{"12": 1}, r.Responses, path)
	}
}
