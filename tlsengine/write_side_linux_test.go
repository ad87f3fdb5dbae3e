package tlsengine_test

import (
	"crypto/tls"
	"io"
	"net"
	"testing"

	"securesocket/tlsengine"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// writesToTheEnd writes until the socket refuses: what it is told then the kernel tells no read any more.
func writesToTheEnd(t *testing.T, conn io.Writer) {
	t.Helper()
	for {
		_, err := conn.Write([]byte("x"))
		if err != nil {
			end, _ := tlsengine.EndOf(err)
			assert.Equal(t, tlsengine.EndReset, end, "%v", err)
			_, err = conn.Write([]byte("y"))
			assert.Error(t, err, "and it is not told again")
			return
		}
	}
}

// TestAWriteIsToldOfTheReset, and a read says it too: it is no FIN.
func TestAWriteIsToldOfTheReset(t *testing.T) {
	t.Parallel()
	t.Run("TLS", func(t *testing.T) {
		t.Parallel()
		bothWays(t, func(t *testing.T, version uint16, read reading, connect connecting) {
			conn := connect(t, version, tlstest.Reset)
			writesToTheEnd(t, conn)
			_, err := read(conn, make([]byte, 1))
			end, _ := tlsengine.EndOf(err)
			require.Equal(t, tlsengine.EndReset, end, "%v", err)
		})
	})
	t.Run("plain", func(t *testing.T) {
		t.Parallel()
		for _, said := range []string{"", "hello"} {
			conn := dialPlain(t, func(conn net.Conn) {
				_, _ = conn.Read(make([]byte, 1)) // a connection that is not yet there is reset in another way
				_, _ = io.WriteString(conn, said)
				_ = conn.(*net.TCPConn).SetLinger(0)
			})
			writesToTheEnd(t, conn)
			got := make([]byte, 10)
			n := 0
			var err error
			for err == nil {
				var m int
				m, err = conn.TryRead(got[n:])
				n += m
			}
			end, _ := tlsengine.EndOf(err)
			require.Equal(t, tlsengine.EndReset, end, "%v", err)
			_, again := conn.TryRead(got)
			require.Equal(t, err, again)
		}
	})
}

// TestResetUnderReadAndWrite: both are told of it, whoever of them the kernel tells.
func TestResetUnderReadAndWrite(t *testing.T) {
	t.Parallel()
	for range 200 {
		conn := dialPlain(t, func(conn net.Conn) {
			_, _ = conn.Read(make([]byte, 1))
			_ = conn.(*net.TCPConn).SetLinger(0)
		})
		written := make(chan struct{})
		go func() {
			defer close(written)
			writesToTheEnd(t, conn)
		}()
		var err error
		for err == nil || err == tlsengine.ErrWouldBlock { //nolint:errorlint // as it is returned
			_, err = conn.TryRead(make([]byte, 1))
		}
		end, _ := tlsengine.EndOf(err)
		require.Equal(t, tlsengine.EndReset, end, "%v", err)
		<-written
	}
}

// TestAFINIsNoReset, whoever sends his first and whatever became of the socket meanwhile.
func TestAFINIsNoReset(t *testing.T) {
	t.Parallel()
	peers := map[string]func(net.Conn){
		"peer first": func(conn net.Conn) { _ = conn.(*net.TCPConn).CloseWrite(); _, _ = io.Copy(io.Discard, conn) },
		"peer last":  func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) },
		"and is reset": func(conn net.Conn) {
			_ = conn.(*net.TCPConn).CloseWrite()
			_, _ = conn.Read(make([]byte, 1))
			_ = conn.(*net.TCPConn).SetLinger(0)
		},
	}
	for name, peer := range peers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := dialPlain(t, peer)
			switch name {
			case "peer last":
				require.NoError(t, conn.CloseWrite())
			case "and is reset":
				writesToTheEnd(t, conn)
			}
			var err error
			for err == nil || err == tlsengine.ErrWouldBlock { //nolint:errorlint // as it is returned
				require.NoError(t, conn.AwaitRead())
				_, err = conn.TryRead(make([]byte, 1))
			}
			require.Equal(t, io.EOF, err)
		})
	}
	t.Run("TLS", func(t *testing.T) {
		t.Parallel()
		bothWays(t, func(t *testing.T, version uint16, read reading, connect connecting) {
			conn := connect(t, version, func(c *tls.Conn) { _, _ = io.Copy(io.Discard, c); _ = c.NetConn().Close() })
			require.NoError(t, conn.CloseWrite())
			require.NoError(t, conn.CloseWriteRaw())
			_, err := read(conn, make([]byte, 1))
			end, _ := tlsengine.EndOf(err)
			require.Equal(t, tlsengine.EndTruncated, end, "%v", err)
		})
	})
}

func dialPlain(t *testing.T, peer func(net.Conn)) *tlsengine.Plain {
	t.Helper()
	raw, err := net.Dial("tcp", tlstest.ServeRaw(t, peer))
	require.NoError(t, err)
	conn := tlsengine.NewPlain(raw)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}
