//go:build !linux

package callers

import (
	"errors"
	"net"
)

// peerUID fails: without it a Unix socket would not know its callers.
func peerUID(*net.UnixConn) (uint32, error) { return 0, errors.ErrUnsupported }
