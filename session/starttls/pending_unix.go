//go:build unix

package starttls

import (
	"errors"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func pending(conn net.Conn) (bool, error) {
	var (
		raw syscall.RawConn
		err error
	)
	switch conn := conn.(type) {
	case *net.TCPConn:
		raw, err = conn.SyscallConn()
	case *net.UnixConn:
		raw, err = conn.SyscallConn()
	default:
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var (
		there bool
		errno error
	)
	// Control, since Read would wait for its turn and heed the deadline.
	if err := raw.Control(func(fd uintptr) { there, errno = look(int(fd)) }); err != nil { //nolint:gosec // a descriptor
		return false, err
	}
	return there, errno
}

// look polls first: a peek at a socket that has failed would take the failure from the read that is to report it. Readable
// are the ends of connections too, and only a peek tells these from bytes.
func look(fd int) (bool, error) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}} //nolint:gosec // a descriptor
	for {
		n, err := unix.Poll(fds, 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return false, os.NewSyscallError("poll", err)
		case n == 0 || fds[0].Revents&(unix.POLLERR|unix.POLLNVAL) != 0:
			return false, nil
		}
		var b [1]byte
		n, _, err = unix.Recvfrom(fd, b[:], unix.MSG_PEEK) // package net's sockets do not wait
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return false, nil
		case err != nil:
			return false, os.NewSyscallError("recvfrom", err)
		}
		return n > 0, nil
	}
}
