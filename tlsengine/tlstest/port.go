package tlstest

import (
	"net"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// HoldPort takes a free port of 127.0.0.1 until the test ends. A socket that is bound and does not listen keeps it: the
// kernel gives it to nobody who asks for any port, and still to a server that asks for this one with SO_REUSEADDR.
func HoldPort(tb testing.TB) int {
	tb.Helper()
	syscall.ForkLock.RLock()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = syscall.Close(fd) })
	require.NoError(tb, syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1))
	require.NoError(tb, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	bound, err := syscall.Getsockname(fd)
	require.NoError(tb, err)
	address, ok := bound.(*syscall.SockaddrInet4)
	require.True(tb, ok)
	return address.Port
}

// Refusing returns an address at which nobody listens, now and until the test ends.
func Refusing(tb testing.TB) string {
	tb.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(HoldPort(tb)))
}
