package tlsengine_test

import (
	"crypto/tls"
	"io"
	"testing"
	"time"

	"securesocket/tlsengine"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
)

func TestCloseWriteLeavesReading(t *testing.T) {
	t.Parallel()
	bothRoles(t, func(t *testing.T, version uint16, connect connecting) {
		conn := connect(t, version, func(c *tls.Conn) {
			got, _ := io.ReadAll(c)
			_, _ = c.Write(append(got, " to you"...))
			tlstest.CloseNotify(c)
		})
		_, err := conn.Write([]byte("good day"))
		require.NoError(t, err)
		require.NoError(t, conn.CloseWrite())
		require.NoError(t, conn.CloseWrite(), "idempotent")

		_, err = conn.Write([]byte("more"))
		require.ErrorIs(t, err, tlsengine.ErrWriteClosed)
		end, _ := tlsengine.EndOf(err)
		require.Equal(t, tlsengine.EndLocal, end)

		got, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.Equal(t, "good day to you", string(got))
		require.NoError(t, conn.Close())
	})
}

func TestCloseWriteRaw(t *testing.T) {
	t.Parallel()
	bothRoles(t, func(t *testing.T, version uint16, connect connecting) {
		// crypto/tls on the server's side reads both as io.EOF; that the FIN arrives without close_notify is what makes this
		// call answer at all.
		seen := make(chan error, 1)
		conn := connect(t, version, func(c *tls.Conn) {
			_, err := c.NetConn().Read(make([]byte, 1))
			seen <- err
		})
		require.NoError(t, conn.CloseWriteRaw())
		require.Equal(t, io.EOF, <-seen)
		_, err := conn.Write([]byte("x"))
		require.ErrorIs(t, err, tlsengine.ErrWriteClosed)
	})
}

// A peer that does not read must not hold up a Close.
func TestCloseIsBounded(t *testing.T) {
	t.Parallel()
	for _, halfClose := range []bool{true, false} {
		conn := connect(t, tls.VersionTLS13, func(*tls.Conn) { <-t.Context().Done() })
		stuck := make(chan error, 1)
		go func() {
			for {
				if _, err := conn.Write(make([]byte, 1<<16)); err != nil {
					stuck <- err
					return
				}
			}
		}()
		time.Sleep(50 * time.Millisecond)
		if halfClose { // which waits behind the stuck Write; Close must cut both
			go func() { _ = conn.CloseWrite() }()
			time.Sleep(10 * time.Millisecond)
		}
		closed := make(chan error, 1)
		go func() { closed <- conn.Close() }()
		select {
		case <-closed:
		case <-time.After(3 * time.Second):
			t.Fatal("Close hangs")
		}
		end, _ := tlsengine.EndOf(<-stuck)
		require.Equal(t, tlsengine.EndLocal, end)
	}
}
