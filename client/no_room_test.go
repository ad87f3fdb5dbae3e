package client_test

import (
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
