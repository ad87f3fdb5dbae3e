package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/tlstest"
)

// requireResults wants JSON with those results among it, each of them a positive figure.
func requireResults(t *testing.T, r result, want ...string) {
	t.Helper()
	require.Equal(t, exitDone, r.code, r.stderr)
	var b bench
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &b))
	require.NotEmpty(t, b.Service)
	require.NotEmpty(t, b.Peer)
	var what []string
	for _, result := range b.Results {
		require.Positive(t, result.Value, result.What)
		require.NotEmpty(t, result.Unit)
		what = append(what, result.What)
	}
	require.Subset(t, what, want)
}

func TestBenchWithItsOwnPeer(t *testing.T) {
	t.Parallel()
	r := runWith(t.Context(), nil, "bench", "--embedded", "--duration", "1s", "--sessions", "2", "-o", "json")
	requireResults(t, r, "bulk down, sessions: 1", "bulk up, sessions: 2", "echo of 64 bytes, sessions: 1, p99", "echo of 16384 bytes, sessions: 2", "new sessions, at once: 2")
}

func TestBenchARunningService(t *testing.T) {
	t.Parallel()
	address, _ := startService(t)
	r := runWith(t.Context(), nil, "bench", "--server", address, "--duration", "1s", "--sessions", "1")
	require.Equal(t, exitDone, r.code, r.stderr)
	require.Contains(t, r.stdout, address)
	require.Contains(t, r.stdout, "new sessions")
}

func TestBenchAnyPeer(t *testing.T) {
	t.Parallel()
	peer := startPeer(t, tlstest.Echo)
	r := runLocal(t, "bench -o json --duration 1s --sessions 2", "--cafile", peer.cafile, peer.address)
	requireResults(t, r, "connecting, with the handshake, p50", "connecting, with the handshake, p99", "new sessions, at once: 2")
}

func TestBenchSaysWhyItCannot(t *testing.T) {
	t.Parallel()
	peer := startPeer(t, tlstest.Echo)
	r := runLocal(t, "bench --duration 1s", peer.address) // whose authority nobody trusts here
	require.Equal(t, exitCertificate, r.code, r.stderr)
	r = runWith(t.Context(), nil, "bench", "--embedded", "--egress-allow", "192.0.2.1", "--duration", "1s")
	require.Equal(t, exitPolicy, r.code, r.stderr)
}

func TestBenchUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"a:1", "b:1"}, {"nowhere"}, {"-o", "xml"}, {"--duration", "1ms"}, {"--duration", "1h"}, {"--sessions", "0"}, {"--sessions", "1000"},
		{"--quick"}, {"--docs", "."}, {"--ghostunnel", "x"}, {"--peers", "a:1"}, {"--peers", "-o", "json"}, {"--peers", "--sessions", "2"},
		{"--peers", "--embedded"}, {"--peers", "--docs", t.TempDir()},
	} {
		r := runWith(t.Context(), nil, append([]string{"bench"}, args...)...)
		require.Equal(t, exitUsage, r.code, "%q: %s", args, r.stderr)
	}
}

func TestBenchRole(t *testing.T) {
	t.Parallel()
	require.Equal(t, exitUsage, runLocal(t, "bench-role peer").code)
	require.Equal(t, exitOther, runLocal(t, "bench-role king file").code)
}
