package client_test

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"securesocket/client"
	"securesocket/server"
	"securesocket/server/egress"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/tlsengine/tlstest"
)

// echoAll dials n connections at once, holds them all, and has each one echo.
func echoAll(t *testing.T, d *client.Dialer, address string, n int) {
	t.Helper()
	conns := make([]*client.Conn, n)
	var g errgroup.Group
	for i := range conns {
		g.Go(func() (err error) {
			conns[i], err = d.Dial(t.Context(), "tcp", address)
			return err
		})
	}
	require.NoError(t, g.Wait())
	for _, conn := range conns {
		g.Go(func() error {
			if _, err := io.WriteString(conn, "hello"); err != nil {
				return err
			}
			buf := make([]byte, 5)
			if _, err := io.ReadFull(conn, buf); err != nil {
				return err
			}
			return conn.Close()
		})
	}
	require.NoError(t, g.Wait())
}

// The service allows few streams on one HTTP/2 connection, and says so.
func TestStreamsSpreadOverAsManyConnectionsAsTheServiceAsks(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	address := tlstest.Serve(t, serverConfig(ca), tlstest.Echo)
	svc := servertest.Start(t, func(_ *session.Config, c *server.Config) { c.MaxConcurrentStreams = 4 })
	var dials atomic.Int64
	c, err := client.Dial("grpc://service:1", client.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
		dials.Add(1)
		return svc.DialContext(ctx, addr)
	}))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	echoAll(t, &client.Dialer{Client: c, RootCAs: [][]byte{ca.DER()}}, address, 13)
	require.EqualValues(t, 4+1, dials.Load(), "13 streams of 4 a connection, and one for unary calls")
}

func TestRealSockets(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	address := tlstest.Serve(t, serverConfig(ca), tlstest.Echo)
	policy, err := egress.New(egress.Config{Allow: []string{"127.0.0.0/8"}, HasAllowList: true})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "s.sock")
	for network, listen := range map[string]string{"unix": path, "tcp": "127.0.0.1:0"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen(network, listen)
			require.NoError(t, err)
			s := server.New(server.Config{Registry: session.NewRegistry(session.Config{Egress: server.FixedEgress(policy)})})
			done := make(chan error, 1)
			go func() { done <- s.Serve(l) }()
			t.Cleanup(func() { s.Close(); <-done })
			addr := "unix://" + path
			if network == "tcp" {
				addr = "grpc://" + l.Addr().String()
			}
			c, err := client.Dial(addr)
			require.NoError(t, err)
			t.Cleanup(func() { _ = c.Close() })
			echoAll(t, &client.Dialer{Client: c, RootCAs: [][]byte{ca.DER()}}, address, 3)
		})
	}
}
