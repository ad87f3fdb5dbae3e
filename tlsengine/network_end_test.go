package tlsengine_test

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"

	"securesocket/tlsengine"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
)

// failingConn fails as the kernel does, from the moment that fail is set.
type failingConn struct {
	net.Conn
	fail atomic.Pointer[error]
}

func (c *failingConn) Read(p []byte) (int, error) {
	if err := c.fail.Load(); err != nil {
		return 0, *err
	}
	return c.Conn.Read(p)
}

func (c *failingConn) Write(p []byte) (int, error) {
	if err := c.fail.Load(); err != nil {
		return 0, *err
	}
	return c.Conn.Write(p)
}

func TestNetworkErrors(t *testing.T) {
	t.Parallel()
	for cause, want := range map[error]tlsengine.End{
		syscall.ECONNRESET: tlsengine.EndReset, syscall.EPIPE: tlsengine.EndReset, syscall.ETIMEDOUT: tlsengine.EndTimeout,
		syscall.EHOSTUNREACH: tlsengine.EndUnreachable, syscall.ENETUNREACH: tlsengine.EndUnreachable,
		syscall.EIO: tlsengine.EndOther, errors.New("what?"): tlsengine.EndOther,
	} {
		t.Run(cause.Error(), func(t *testing.T) {
			t.Parallel()
			bothVersions(t, func(t *testing.T, version uint16) {
				ca := tlstest.NewCA(t)
				raw := &failingConn{Conn: dialRaw(t, tlstest.Serve(t, serverConfig(ca.Leaf(), version), tlstest.Echo))}
				conn, err := tlsengine.Client(t.Context(), raw, trusting(ca))
				require.NoError(t, err)
				var failure error = &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", cause)}
				raw.fail.Store(&failure)

				_, err = conn.Read(make([]byte, 1))
				end, _ := tlsengine.EndOf(err)
				require.Equal(t, want, end, "%v", err)
				require.ErrorIs(t, err, cause)
				_, err = conn.Write([]byte("x"))
				end, _ = tlsengine.EndOf(err)
				require.Equal(t, want, end, "%v", err)
			})
		})
	}
}
