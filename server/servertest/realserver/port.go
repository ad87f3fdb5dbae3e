//go:build unix

package realserver

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// port is one that a server can be told to listen at.
type port struct {
	number int
}

// newPort takes a free port for as long as the test lasts. A socket that is bound
// and does not listen keeps it: the kernel gives it to nobody who asks for any
// port, and still to a server that asks for this one with SO_REUSEADDR, as they
// all do.
func newPort(tb testing.TB) *port {
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
	return &port{address.Port}
}

func (p *port) String() string { return fmt.Sprint(p.number) }

func (p *port) addr() string { return fmt.Sprintf("127.0.0.1:%d", p.number) }
