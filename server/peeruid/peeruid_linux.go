// Package peeruid says which user is at the other end of a Unix socket.
package peeruid

import (
	"net"

	"golang.org/x/sys/unix"
)

// Of returns the user ID that the process at the other end had when it
// connected (unix(7), SO_PEERCRED).
func Of(conn *net.UnixConn) (uint32, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) //nolint:gosec // a descriptor
	}); err != nil {
		return 0, err
	}
	if credErr != nil {
		return 0, credErr
	}
	return cred.Uid, nil
}
