package h2attack_test

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"

	"securesocket/server/servertest/h2attack"
)

// answer is how a Result names a status.
func answer(c codes.Code) string {
	return map[codes.Code]string{
		codes.OK: "0", codes.ResourceExhausted: "8", codes.Unimplemented: "12", codes.Internal: "13",
	}[c]
}

func TestThreat03NoOtherSpellingReachesAMethod(t *testing.T) {
	t.Parallel()
	for name, start := range targets(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := start(t)
			r, err := h2attack.PathTricks(t.Context(), target.dial, h2attack.Options{Path: target.path})
			require.NoError(t, err)
			require.Equal(t, h2attack.EndOpen, r.End)
			require.Greater(t, len(r.Paths), 30)
			require.NotContains(t, r.Paths, "")
			for spelling, got := range r.Paths {
				require.NotEqual(t, answer(codes.OK), got, spelling)
				require.NotEqual(t, "none", got, spelling)
			}
			for _, spelling := range []string{"no leading slash", "two leading slashes", "escaped slash within", "trailing slash",
				"upper case", "unknown service", "unknown method", "no method", "dot segment", "query"} {
				require.Equal(t, answer(codes.Unimplemented), r.Paths[spelling], spelling)
			}
			for _, spelling := range []string{"gRPC-Web", "gRPC-Web, text", "JSON"} {
				require.Equal(t, "http 415", r.Paths[spelling], spelling)
			}
			require.NoError(t, target.call(t.Context()))
		})
	}
}

func TestThreat40CompressedAndGiantMessagesAreRefused(t *testing.T) {
	t.Parallel()
	for name, start := range targets(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := start(t)
			o := h2attack.Options{Path: target.path}
			r, err := h2attack.GzipMessage(t.Context(), target.dial, o)
			require.NoError(t, err)
			require.Equal(t, map[string]int{answer(codes.Unimplemented): 1}, r.Responses)
			r, err = h2attack.GiantLength(t.Context(), target.dial, o)
			require.NoError(t, err)
			require.Equal(t, map[string]int{answer(codes.ResourceExhausted): 1}, r.Responses)
			r, err = h2attack.LargeMessage(t.Context(), target.dial, o)
			require.NoError(t, err)
			// The announced length is refused, or that the window is passed, or both.
			require.Positive(t, r.Responses[answer(codes.ResourceExhausted)]+r.Resets[http2.ErrCodeFlowControl])
			require.Zero(t, r.Responses[answer(codes.OK)])
			require.NoError(t, target.call(t.Context()))
		})
	}
}

func TestThreat39QuietConnectionsEnd(t *testing.T) {
	t.Parallel()
	l := listen(t, "tcp")
	t.Cleanup(func() { _ = l.Close() })
	target := plain(t, "tcp", nil, nil) // it gives a connection one second to be set up
	for name, attack := range map[string]h2attack.Attack{"slow preface": h2attack.SlowPreface, "half-open": h2attack.HalfOpen} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := attack(t.Context(), target.dial, h2attack.Options{Count: 20, Timeout: 10 * time.Second})
			require.NoError(t, err)
			require.NotEqual(t, h2attack.EndOpen, r.End)
			require.Equal(t, map[string]int{"slow preface": 1, "half-open": 20}[name], r.Ended)
			require.NoError(t, target.call(t.Context()))
		})
	}
	// Somebody who keeps them all.
	silent := func() (net.Conn, error) { return net.Dial("tcp", l.Addr().String()) }
	r, err := h2attack.HalfOpen(t.Context(), silent, h2attack.Options{Count: 3, Timeout: 50 * time.Millisecond})
	require.NoError(t, err)
	require.Equal(t, h2attack.EndOpen, r.End)
	require.Zero(t, r.Ended)
}
