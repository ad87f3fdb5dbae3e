//go:build !linux

package session

import (
	"net"
	"syscall"
	"time"
)

// setUserTimeout does nothing: the option is Linux's. Keepalive still finds a
// dead peer.
func setUserTimeout(syscall.RawConn, time.Duration) error { return nil }

// portLater does nothing: the option is Linux's. Fewer ports do.
func portLater(syscall.RawConn) {}

// tcpClosed cannot tell here: a reset that the writer met first may be taken
// for a FIN.
func tcpClosed(net.Conn) bool { return false }
