package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/server/servertest/cutproxy"
	"securesocket/tlsengine/tlstest"
)

// cutting cuts the way to the service once half of it was read.
type cutting struct {
	r    io.Reader
	left int
	cut  func()
}

func (c *cutting) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	if c.left -= n; c.left <= 0 && c.cut != nil {
		c.cut()
		c.cut = nil
	}
	return n, err
}

func TestConnectGoesOnAfterACut(t *testing.T) {
	t.Parallel()
	p := startPeer(t, tlstest.Echo)
	address, _ := startService(t)
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	require.NoError(t, err)
	proxy := cutproxy.Serve(t, listener, func(ctx context.Context, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", strings.TrimPrefix(address, "unix://"))
	})
	sent := make([]byte, 3<<20)
	_, _ = rand.Read(sent)
	connect := func(args ...string) (code int, stdout, stderr string) {
		var out, problems bytes.Buffer
		in := &cutting{r: bytes.NewReader(sent), left: len(sent) / 2, cut: func() { proxy.CutAll(cutproxy.FIN) }}
		args = append([]string{"connect", p.address, "--cafile", p.cafile, "--server", "unix://" + listener.Addr().String()}, args...)
		code = run(t.Context(), args, in, &out, &problems)
		return code, out.String(), problems.String()
	}
	code, stdout, stderr := connect("--resumable", "--verbose")
	require.Equal(t, exitDone, code, stderr)
	require.True(t, string(sent) == stdout)
	require.Contains(t, stderr, "resumed")

	code, _, stderr = connect()
	require.Equal(t, exitNetwork, code, stderr)
}

// TestConnectTellsOfARestart: a service that was started again has the session no more, and one that ends takes a session with
// it that is not resumable. Both say so, and neither that there was no service.
func TestConnectTellsOfARestart(t *testing.T) {
	t.Parallel()
	p := startPeer(t, tlstest.Echo)
	for flag, reason := range map[string]string{"--resumable": "(SESSION_NOT_FOUND)", "--no-half-close": "(Unavailable)"} {
		before, _ := startService(t)
		after, _ := startService(t)
		var address atomic.Value
		address.Store(before)
		listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
		require.NoError(t, err)
		proxy := cutproxy.Serve(t, listener, func(ctx context.Context, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", strings.TrimPrefix(address.Load().(string), "unix://"))
		})
		var out, problems bytes.Buffer
		sent := make([]byte, 3<<20)
		in := &cutting{r: bytes.NewReader(sent), left: len(sent) / 2, cut: func() {
			address.Store(after)
			proxy.CutAll(cutproxy.RST)
		}}
		code := run(t.Context(), []string{"connect", p.address, "--cafile", p.cafile, "--server", "unix://" + listener.Addr().String(), flag}, in, &out, &problems)
		require.Equal(t, exitNetwork, code, problems.String())
		require.Contains(t, problems.String(), reason)
		require.Contains(t, problems.String(), "side: service")
		require.NotContains(t, problems.String(), "cannot be reached")
		require.Equal(t, flag == "--resumable", strings.Contains(problems.String(), "bytes: "), problems.String())
	}
}
