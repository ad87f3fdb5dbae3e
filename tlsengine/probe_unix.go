//go:build unix

package tlsengine

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// probe reads a socket without waiting, and waits for it without reading. It belongs to the reader.
//
// The functions that it gives to raw are made once and their arguments are fields: made anew they would be garbage of
// every call.
type probe struct {
	raw net.Conn
	fd  syscall.RawConn

	readNow func(fd uintptr) bool
	buf     []byte // of the read under way
	n       int
	err     error

	lookOnce func(fd uintptr) bool
	looked   bool
	fds      [1]unix.PollFd
}

// newProbe returns nil when raw cannot be probed. The types are those that nobody can have put a layer into; what wraps
// a socket may do more than read it.
func newProbe(raw net.Conn) *probe {
	var (
		fd  syscall.RawConn
		err error
	)
	switch conn := raw.(type) {
	case *net.TCPConn:
		fd, err = conn.SyscallConn()
	case *net.UnixConn:
		fd, err = conn.SyscallConn()
	default:
		return nil
	}
	if err != nil {
		return nil
	}
	p := &probe{raw: raw, fd: fd}
	p.readNow = p.readFD
	p.lookOnce = p.lookFD
	return p
}

// read is raw.Read that says ErrWouldBlock instead of waiting.
func (p *probe) read(buf []byte) (int, error) {
	if len(buf) == 0 {
		return 0, nil
	}
	p.buf, p.n, p.err = buf, 0, nil
	err := p.fd.Read(p.readNow)
	p.buf = nil
	switch {
	case err != nil:
		if op, ok := errors.AsType[*net.OpError](err); ok {
			op.Op = "read" // as raw.Read says it
		}
		return 0, err
	case p.err == syscall.EAGAIN: //nolint:errorlint // an errno of the system call itself
		return 0, ErrWouldBlock
	case p.err != nil:
		return 0, &net.OpError{Op: "read", Net: p.raw.LocalAddr().Network(), Source: p.raw.LocalAddr(), Addr: p.raw.RemoteAddr(),
			Err: os.NewSyscallError("read", p.err)}
	case p.n == 0:
		return 0, io.EOF
	}
	return p.n, nil
}

func (p *probe) readFD(fd uintptr) bool {
	for {
		p.n, p.err = syscall.Read(int(fd), p.buf) //nolint:gosec // a descriptor
		if p.err != syscall.EINTR {               //nolint:errorlint // an errno of the system call itself
			return true
		}
	}
}

// await waits until a read may give something. The error is of a deadline, or says that the socket is closed.
func (p *probe) await() error {
	p.looked = false
	return p.fd.Read(p.lookOnce)
}

// lookFD says whether there is something to read: false makes the poller wait. The poller tells of changes alone, and has
// been told to forget those before this call, so what is there already has to be found here; a change that comes later
// needs no second look. It is poll that looks because a peek would take the socket's error, a reset, from the read that is
// to report it.
func (p *probe) lookFD(fd uintptr) bool {
	if p.looked {
		return true
	}
	p.looked = true
	p.fds[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN} //nolint:gosec // a descriptor
	n, err := unix.Poll(p.fds[:], 0)
	return n > 0 || err != nil
}
