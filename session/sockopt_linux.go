package session

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// setUserTimeout bounds how long sent data may stay unacknowledged (RFC 5482);
// 0 leaves the system's default.
func setUserTimeout(raw syscall.RawConn, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	var err error
	if cerr := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(max(d.Milliseconds(), 1))) //nolint:gosec // a descriptor
	}); cerr != nil {
		return cerr
	}
	return err
}

// portLater has the port of a socket that is bound to an address alone chosen as it
// connects. Chosen as it is bound it would be taken from every target at once, and all
// connections together would have the ports that each target may have.
func portLater(raw syscall.RawConn) {
	_ = raw.Control(func(fd uintptr) { // a kernel that does not know it has fewer ports
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1) //nolint:gosec // a descriptor
	})
}

// tcpClosed tells whether TCP itself is gone, by a reset or a timeout; a peer
// that has only sent FIN leaves it in CLOSE_WAIT.
func tcpClosed(conn net.Conn) bool {
	tc, ok := conn.(*net.TCPConn)
	if !ok {
		return false
	}
	raw, err := tc.SyscallConn()
	if err != nil {
		return false
	}
	closed := false
	_ = raw.Control(func(fd uintptr) { // fails only on a socket that is closed already
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) //nolint:gosec // a descriptor
		closed = err == nil && info.State == unix.BPF_TCP_CLOSE
	})
	return closed
}
