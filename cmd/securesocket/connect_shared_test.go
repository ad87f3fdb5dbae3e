package main

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/server/servertest/cutproxy"
	"securesocket/tlsengine/tlstest"
)

// TestConnectNeedsOneConnection: a caller has so many HTTP/2 connections, and each connect has one.
func TestConnectNeedsOneConnection(t *testing.T) {
	t.Parallel()
	p := startPeer(t, tlstest.Echo)
	address, _ := startService(t)
	for _, flag := range []string{"--resumable", "--no-half-close=false"} {
		var connections atomic.Int32
		listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
		require.NoError(t, err)
		cutproxy.Serve(t, listener, func(ctx context.Context, _ string) (net.Conn, error) {
			connections.Add(1)
			return (&net.Dialer{}).DialContext(ctx, "unix", strings.TrimPrefix(address, "unix://"))
		})
		r := runWith(t.Context(), strings.NewReader("hello"), "connect", p.address, "--cafile", p.cafile,
			"--server", "unix://"+listener.Addr().String(), flag)
		require.Equal(t, exitDone, r.code, r.stderr)
		require.Equal(t, "hello", r.stdout)
		require.EqualValues(t, 1, connections.Load(), flag)
	}
}
