//go:build !linux

package door

import (
	"net"
	"time"
)

func setUserTimeout(net.Conn, time.Duration) {}
