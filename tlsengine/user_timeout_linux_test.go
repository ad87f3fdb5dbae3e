package tlsengine_test

import (
	"crypto/tls"
	"testing"

	"securesocket/tlsengine"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A peer whose window stays closed runs into TCP_USER_TIMEOUT, in the kernel's own words.
func TestUserTimeout(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		ca := tlstest.NewCA(t)
		raw := dialRaw(t, tlstest.Serve(t, serverConfig(ca.Leaf(), version), func(*tls.Conn) { <-t.Context().Done() }))
		conn, err := tlsengine.Client(t.Context(), raw, trusting(ca))
		require.NoError(t, err)
		sys, err := raw.SyscallConn()
		require.NoError(t, err)
		var set error
		require.NoError(t, sys.Control(func(fd uintptr) {
			set = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 300)
		}))
		require.NoError(t, set)

		read := make(chan error, 1)
		go func() {
			_, err := conn.Read(make([]byte, 1))
			read <- err
		}()
		err = nil
		for err == nil {
			_, err = conn.Write(make([]byte, 1<<20))
		}
		end, _ := tlsengine.EndOf(err)
		other, _ := tlsengine.EndOf(<-read)
		// The kernel tells it to one of the two; the other sees what is left: a closed socket.
		require.Contains(t, []tlsengine.End{end, other}, tlsengine.EndTimeout)
	})
}
