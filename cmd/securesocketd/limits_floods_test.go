package main

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest/h2attack"
)

// floodMemory is what a flood may add to the memory of the service.
const floodMemory = 64 << 20

// TestThreat38Floods has callers flood the service in every way there is, while another
// caller uses it well: his calls all succeed, and the service
// grows by no more than it may. How long they take is logged: see the benchmark.
func TestThreat38Floods(t *testing.T) { //nolint:paralleltest // it measures latency
	o := h2attack.Options{Count: 12_000, Timeout: 4 * time.Second, Known: true, Path: pb.SecureSocketService_GetCapabilities_FullMethodName}
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
			p99 := during(t, c, func() { r, err = attack.Run(t.Context(), d.another(), o) }, func() { peak = max(peak, d.resident(t)) })
			require.NoError(t, err)
			require.Positive(t, r.Frames)
			require.Less(t, peak-baseline, floodMemory)
			t.Logf("p99 %v, before %v; memory +%d KiB; %d frames, %v, goaway %v %v", p99, before, (peak-baseline)>>10, r.Frames, r.End, r.GoAway, r.Code)
		})
	}
	require.NotContains(t, d.log(), "panic")
}

// TestThreat38AFloodIsKeptOut: whoever flooded is told so over his next connection, and
// the one that he has besides goes on.
func TestThreat38AFloodIsKeptOut(t *testing.T) {
	t.Parallel()
	d := startFronted(t)
	before, other := d.client(t), d.client(t)
	who := func(c pb.SecureSocketServiceClient) error {
		_, err := c.GetCapabilities(t.Context(), &pb.GetCapabilitiesRequest{})
		return err
	}
	require.NoError(t, who(before))
	r, err := h2attack.RapidReset(t.Context(), d.dial, h2attack.Options{Count: 100_000, Known: true, Path: pb.SecureSocketService_GetCapabilities_FullMethodName})
	require.NoError(t, err)
	require.NotEqual(t, h2attack.EndOpen, r.End)
	err = who(other)
	require.Equal(t, "LIMIT", reasonOf(t, err))
	var wait time.Duration
	for _, detail := range status.Convert(err).Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			require.Equal(t, "misuse", detail.GetMetadata()["what"])
		case *errdetails.RetryInfo:
			wait = detail.GetRetryDelay().AsDuration()
		}
	}
	require.Positive(t, wait)
	require.LessOrEqual(t, wait, 10*time.Second)
	require.Equal(t, wait, client.FromError(err).RetryAfter)
	require.Equal(t, "caller", client.FromError(err).Side())
	require.NoError(t, who(before))
	soon(t, "he is let in again", func() bool { return who(d.client(t)) == nil })
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

// BenchmarkThreat38Neighbour is a call beside another caller, who floods without end, over
// a new connection whenever one was ended.
func BenchmarkThreat38Neighbour(b *testing.B) {
	for _, attack := range append([]h2attack.Named{{Name: "nothing"}}, h2attack.Floods()...) {
		b.Run(attack.Name, func(b *testing.B) {
			d := startFronted(b)
			c := d.client(b)
			dial := d.another()
			alone := during(b, c, func() { time.Sleep(2 * time.Second) })
			ctx, cancel := context.WithCancel(b.Context())
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				for ctx.Err() == nil && attack.Run != nil {
					if _, err := attack.Run(ctx, dial, h2attack.Options{Count: 100_000, Known: true, Path: pb.SecureSocketService_GetCapabilities_FullMethodName}); err != nil {
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
			p99 := took[len(took)*99/100]
			b.ReportMetric(float64(p99.Microseconds()), "p99-us")
			b.ReportMetric(float64(p99)/float64(alone), "times-alone")
		})
	}
}

// TestThreat40CompressedMessages: nothing that the service is made of has registered a
// compressor either.
func TestThreat40CompressedMessages(t *testing.T) {
	t.Parallel()
	d := startFronted(t)
	for _, path := range []string{pb.SecureSocketService_CreateSession_FullMethodName, pb.SecureSocketService_Attach_FullMethodName} {
		r, err := h2attack.GzipMessage(t.Context(), d.another(), h2attack.Options{Path: path})
		require.NoError(t, err)
		require.Equal(t, map[string]int{"12": 1}, r.Responses, path)
	}
}
