package tlsengine

import (
	"net"

	"golang.org/x/sys/unix"
)

// tcpClose is the state of a socket that was reset or given up, TCP_CLOSE of <linux/tcp_states.h>.
const tcpClose = 7

// dead reports whether the kernel has given raw up. It has, too, when both sides have sent FIN.
func dead(raw net.Conn) bool {
	tcp, ok := raw.(*net.TCPConn)
	if !ok {
		return false
	}
	fd, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	closed := false
	_ = fd.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) //nolint:gosec // a descriptor
		closed = err == nil && info.State == tcpClose
	})
	return closed
}
