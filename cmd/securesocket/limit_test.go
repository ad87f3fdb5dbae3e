package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// TestALimitSaysWhenToTryAgain: the time that the service named is in the remedy, whichever the limit.
func TestALimitSaysWhenToTryAgain(t *testing.T) {
	t.Parallel()
	remedies := map[string]bool{}
	for _, what := range []string{"misuse", "handshakes under way of a caller", "of a newer service"} {
		st, err := status.New(codes.ResourceExhausted, "refused").WithDetails(
			&errdetails.ErrorInfo{Domain: "securesocket.v1", Reason: "LIMIT", Metadata: map[string]string{"what": what}},
			&errdetails.RetryInfo{RetryDelay: durationpb.New(9*time.Second + 101*time.Millisecond)})
		require.NoError(t, err)
		g := startGuarded(t, &guarded{refuse: st.Err()}, nil)
		r := runWith(t.Context(), strings.NewReader(""), "capabilities", "--server", "grpc://"+g.address)
		require.Equal(t, exitPolicy, r.code, r.stderr)
		require.Contains(t, r.stderr, "(LIMIT)")
		_, remedy, ok := strings.Cut(r.stderr, "remedy: ")
		require.True(t, ok, r.stderr)
		require.Contains(t, remedy, "try again in 9.2s")
		remedies[remedy] = true
	}
	require.Len(t, remedies, 3)
}

// TestALimitOfConnectionsNamesThisProgram: who meets it here has other commands running.
func TestALimitOfConnectionsNamesThisProgram(t *testing.T) {
	t.Parallel()
	st, err := status.New(codes.ResourceExhausted, "refused").WithDetails(
		&errdetails.ErrorInfo{Domain: "securesocket.v1", Reason: "LIMIT", Metadata: map[string]string{"what": "connections_per_caller"}})
	require.NoError(t, err)
	g := startGuarded(t, &guarded{refuse: st.Err()}, nil)
	r := runWith(t.Context(), strings.NewReader(""), "sessions", "--server", "grpc://"+g.address)
	require.Equal(t, exitPolicy, r.code, r.stderr)
	require.Contains(t, r.stderr, "securesocket commands")
	require.Contains(t, r.stderr, "limits.connections_per_caller")
}
