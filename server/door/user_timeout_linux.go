package door

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// setUserTimeout is best effort: without it the HTTP/2 server's own pings end a
// connection that is dead, only later.
func setUserTimeout(conn net.Conn, d time.Duration) {
	c, ok := innermost(conn).(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds())) //nolint:gosec // a descriptor
	})
}
