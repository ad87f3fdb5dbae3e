//go:build unix

package starttls_test

import "golang.org/x/sys/unix"

// readable says whether poll finds anything at all: bytes, an end, a failure.
func readable(fd int) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return n > 0 || err != nil
}
