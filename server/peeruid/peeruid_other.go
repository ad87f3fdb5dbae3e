//go:build !linux

// Package peeruid says which user is at the other end of a Unix socket: here it
// cannot.
package peeruid

import (
	"errors"
	"net"
)

// Of fails: without it a Unix socket would not know its callers.
func Of(*net.UnixConn) (uint32, error) { return 0, errors.ErrUnsupported }
