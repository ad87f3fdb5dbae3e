package client_test

import (
	"crypto/tls"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/nettest"

	"securesocket/client"
	"securesocket/tlsengine/tlstest"
)

// plainPair is a plain connection through the service and its peer's end.
func plainPair(tb testing.TB, d *client.Dialer) (*client.Conn, *net.TCPConn) {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	defer listener.Close()
	conn, err := d.DialPlain(tb.Context(), "tcp", listener.Addr().String())
	require.NoError(tb, err)
	peer, err := listener.Accept()
	require.NoError(tb, err)
	tb.Cleanup(func() {
		conn.Abort()
		peer.Close()
	})
	return conn, peer.(*net.TCPConn)
}

// plainDialer is a Dialer of a real service that trusts ca alone, for localhost.
func plainDialer(tb testing.TB, ca *tlstest.CA) *client.Dialer {
	d := dialer(tb, ca)
	d.ServerName = new("localhost")
	return d
}

func TestServicePlainNetConn(t *testing.T) {
	t.Parallel()
	d := plainDialer(t, tlstest.NewCA(t))
	for name, resumable := range map[string]bool{"not resumable": false, "resumable": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := *d
			d.Resumable = resumable
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				conn, peer := plainPair(t, &d)
				return conn, peer, func() {
					peer.Close() // first, or conn.Close waits for a peer that does not read
					conn.Close()
				}, nil
			})
		})
	}
}

// TestServicePlainEcho: far more than any buffer goes both ways, so acks keep the service going.
func TestServicePlainEcho(t *testing.T) {
	t.Parallel()
	conn, peer := plainPair(t, plainDialer(t, tlstest.NewCA(t)))
	go func() {
		_, _ = io.Copy(peer, peer)
		_ = peer.CloseWrite()
	}()
	const total = 8 << 20
	go func() {
		_, _ = conn.Write(make([]byte, total))
		_ = conn.CloseWrite()
	}()
	n, err := io.Copy(io.Discard, conn)
	require.NoError(t, err)
	require.EqualValues(t, total, n)
	require.NoError(t, conn.Close())
	require.False(t, conn.Encrypted())
	require.Equal(t, tls.ConnectionState{}, conn.ConnectionState())
}

func TestServicePlainEnds(t *testing.T) {
	t.Parallel()
	d := plainDialer(t, tlstest.NewCA(t))
	for name, tc := range map[string]struct {
		end    func(*net.TCPConn)
		target error
	}{
		"FIN": {func(peer *net.TCPConn) { peer.Close() }, io.EOF},
		"RST": {func(peer *net.TCPConn) {
			_ = peer.SetLinger(0)
			peer.Close()
		}, syscall.ECONNRESET},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, peer := plainPair(t, d)
			_, err := io.WriteString(peer, greeting)
			require.NoError(t, err)
			readExactly(t, conn, greeting)
			tc.end(peer)
			_, err = conn.Read(make([]byte, 1))
			require.ErrorIs(t, err, tc.target)
		})
	}
}
