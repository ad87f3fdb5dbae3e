//go:build !linux

package session

import (
	"syscall"
	"time"
)

// setUserTimeout does nothing: the option is Linux's. Keepalive still finds a
// dead peer.
func setUserTimeout(syscall.RawConn, time.Duration) error { return nil }
