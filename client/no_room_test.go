package client_test

import (
	"context"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/client"
	"securesocket/tlsengine/tlstest"
)

// TestNoRoomIsNoMistake: a service that takes no connection resets it, and nothing is wrong with its address.
func TestNoRoomIsNoMistake(t *testing.T) {
	t.Parallel()
	trust := client.WithCAFile(putFile(t, tlstest.NewCA(t).PEM()))
	resetting := tlstest.ServeRaw(t, func(conn net.Conn) {
		_ = conn.(*net.TCPConn).SetLinger(0)
	})
	requireWay(t, askService(t, "grpc://"+resetting), "no_room")
	requireWay(t, askService(t, "grpcs://"+resetting, trust), "no_room")

	for name, read := range map[string]int{"at once": 0, "unread": 1} {
		path := filepath.Join(t.TempDir(), "s")
		listener, err := net.Listen("unix", path)
		require.NoError(t, err)
		var serving sync.WaitGroup
		serving.Go(func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				_, _ = conn.Read(make([]byte, read)) // what stays unread makes a reset of the end
				_ = conn.Close()
			}
		})
		requireWay(t, askService(t, "unix://"+path), "no_room")
		require.NoError(t, listener.Close(), name)
		serving.Wait()
	}
}

// toldFirst is a connection of which a Write is told that it was reset, and only then does anybody read.
type toldFirst struct {
	net.Conn

	told chan struct{}
	once sync.Once
}

func (c *toldFirst) Write(p []byte) (int, error) {
	for {
		if n, err := c.Conn.Write(p); err != nil {
			c.once.Do(func() { close(c.told) })
			return n, err
		}
	}
}

func (c *toldFirst) Read(p []byte) (int, error) {
	<-c.told
	return c.Conn.Read(p)
}

// TestNoRoomWhoeverIsTold: the kernel tells one call of a reset, and a Write may be the one.
func TestNoRoomWhoeverIsTold(t *testing.T) {
	t.Parallel()
	resetting := tlstest.ServeRaw(t, func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 1))
		_ = conn.(*net.TCPConn).SetLinger(0)
	})
	dial := client.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		return &toldFirst{Conn: conn, told: make(chan struct{})}, err
	})
	requireWay(t, askService(t, "grpc://"+resetting, dial), "no_room")
}
