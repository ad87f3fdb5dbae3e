package client_test

import (
	"bytes"
	"net"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/nettest"

	"securesocket/client"
)

// newPipe returns a connection through the fake and its peer's end, a plain TCP connection.
func newPipe(t *testing.T, c *client.Client) (*client.Conn, *net.TCPConn) {
	t.Helper()
	conn, peer, err := dialPipe(t, c)
	require.NoError(t, err)
	t.Cleanup(func() {
		conn.Abort()
		peer.Close()
	})
	return conn, peer
}

func dialPipe(t *testing.T, c *client.Client) (*client.Conn, *net.TCPConn, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer listener.Close()
	conn, err := c.DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		return nil, nil, err
	}
	peer, err := listener.Accept()
	if err != nil {
		return nil, nil, err
	}
	return conn, peer.(*net.TCPConn), nil
}

func TestNetConn(t *testing.T) {
	t.Parallel()
	c, _ := startFake(t, proxy())
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		conn, peer, err := dialPipe(t, c)
		if err != nil {
			return nil, nil, nil, err
		}
		return conn, peer, func() {
			peer.Close() // first, or conn.Close waits for a peer that does not read
			conn.Close()
		}, nil
	})
}

// TestGoroutines: a Conn at rest has two. No other test runs beside it.
func TestGoroutines(t *testing.T) {
	c, _ := startKeeper(t)
	const n = 5
	conns := make([]*client.Conn, n)
	for i := range conns {
		conns[i] = dialKeeper(t, c)
		_, err := conns[i].Write([]byte("x"))
		require.NoError(t, err)
		_, err = conns[i].Read(make([]byte, 1))
		require.NoError(t, err)
	}
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	require.Equal(t, 2*n, bytes.Count(stacks, []byte("created by securesocket/client.(*Conn)")))
	for _, conn := range conns {
		require.NoError(t, conn.Close())
	}
}
