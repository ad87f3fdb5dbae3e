package tlstest

import (
	"crypto/tls"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// ConnectRaw gives the near end of a TCP connection over 127.0.0.1, and runs handle on its far end, which is closed when
// handle returns. Both are closed when the test ends.
func ConnectRaw(tb testing.TB, handle func(net.Conn)) *net.TCPConn {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	defer l.Close()
	far, err := (&net.Dialer{}).DialContext(tb.Context(), "tcp", l.Addr().String())
	require.NoError(tb, err)
	near, err := l.Accept()
	require.NoError(tb, err)
	var wg sync.WaitGroup
	tb.Cleanup(func() {
		_ = near.Close()
		_ = far.Close()
		wg.Wait()
	})
	wg.Go(func() {
		handle(far)
		_ = far.Close()
	})
	return near.(*net.TCPConn)
}

// Connect is ConnectRaw with a TLS client at the far end, which runs handle after a handshake that succeeds. Under TLS 1.3
// that is before the server has seen a certificate of the client.
func Connect(tb testing.TB, config *tls.Config, handle func(*tls.Conn)) *net.TCPConn {
	tb.Helper()
	ctx := tb.Context() // here: a fuzz test's is not to be asked for later
	return ConnectRaw(tb, func(raw net.Conn) {
		conn := tls.Client(&peerConn{Conn: raw}, config)
		if conn.HandshakeContext(ctx) == nil {
			handle(conn)
		}
	})
}
