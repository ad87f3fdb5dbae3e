package tlsengine

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
)

// writeSide is a raw connection as its writers have it. It keeps what the kernel told them: that tells one call alone why
// a socket died, and to the reads after it the end looks like a FIN (Linux, tcp_recvmsg).
type writeSide struct {
	net.Conn

	mu  sync.Mutex
	err error // of the first write that failed
}

// Write implements net.Conn.
func (w *writeSide) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, err := w.Conn.Write(p)
	if w.err == nil {
		w.err = err
	}
	return n, err
}

// readEnd returns the error of a read, or if that is a FIN that never came what a write was told instead.
func (w *writeSide) readEnd(err error) error {
	if !errors.Is(err, io.EOF) {
		return err
	}
	// A write under way at a dead socket ends at once; at one that lives it may take any time.
	if dead(w.Conn) {
		w.mu.Lock()
	} else if !w.mu.TryLock() {
		return err
	}
	defer w.mu.Unlock()
	// EPIPE is for a write that comes after the FIN, or after another.
	cause, ok := errors.AsType[syscall.Errno](w.err)
	if !ok || cause == syscall.EPIPE {
		return err
	}
	return &net.OpError{Op: "read", Net: w.LocalAddr().Network(), Source: w.LocalAddr(), Addr: w.RemoteAddr(),
		Err: os.NewSyscallError("read", cause)}
}
