package tlsengine

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// Plain is a connection before TLS, or without: bytes as they are, with the methods of a Conn, the same ends and the same
// rules about who may call what at once.
type Plain struct {
	raw    net.Conn
	closed atomic.Bool

	// The reader's.
	probe   *probe // nil: raw cannot be probed
	drained bool   // the last read took what there was
	readEnd error  // the first end, returned ever after
}

// NewPlain returns raw as a Plain, which buffers nothing of it: TLS may take raw over between two reads.
func NewPlain(raw net.Conn) *Plain { return &Plain{raw: raw, probe: newProbe(raw)} }

// TryRead is Conn's. io.EOF is the peer's FIN, which is an ordinary end here.
func (p *Plain) TryRead(b []byte) (int, error) {
	if p.readEnd != nil {
		return 0, p.readEnd
	}
	read := p.raw.Read
	if p.probe != nil {
		read = p.probe.read
	}
	n, err := read(b)
	p.drained = p.probe != nil && err == nil && n < len(b) || errors.Is(err, ErrWouldBlock)
	switch {
	case err == nil, errors.Is(err, ErrWouldBlock), isDeadline(err):
		return n, err
	case errors.Is(err, io.EOF):
		p.readEnd = io.EOF
	default:
		p.readEnd = newTransportError("read", err, p.closed.Load())
	}
	return n, p.readEnd
}

// AwaitRead is Conn's.
func (p *Plain) AwaitRead() error {
	if p.readEnd != nil || !p.drained {
		return nil
	}
	if err := p.probe.await(); isDeadline(err) {
		return err
	}
	p.drained = false
	return nil
}

// Write returns when the kernel has b; after an error n counts what it has.
func (p *Plain) Write(b []byte) (int, error) {
	n, err := p.raw.Write(b)
	if err != nil {
		err = newTransportError("write", err, p.closed.Load())
	}
	return n, err
}

// CloseWrite sends FIN, and leaves the read side open.
func (p *Plain) CloseWrite() error {
	half, ok := p.raw.(interface{ CloseWrite() error })
	if !ok {
		return &TransportError{End: EndOther, Op: "close", Err: errors.ErrUnsupported}
	}
	if err := half.CloseWrite(); err != nil {
		return newTransportError("close", err, p.closed.Load())
	}
	return nil
}

// CloseWriteRaw does nothing: CloseWrite has sent the FIN.
func (p *Plain) CloseWriteRaw() error { return nil }

// SetReadDeadline is Conn's.
func (p *Plain) SetReadDeadline(t time.Time) error { return p.raw.SetReadDeadline(t) }

// Close closes the connection; what the kernel has is still delivered.
func (p *Plain) Close() error {
	p.closed.Store(true)
	return p.raw.Close()
}

// Abort closes with a reset where the connection has one.
func (p *Plain) Abort() error {
	p.closed.Store(true)
	if tcp, ok := p.raw.(interface{ SetLinger(sec int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	return p.raw.Close()
}

// NewTransportError says how a connection ended of which err is a read's or a write's error; op is what was under way.
func NewTransportError(op string, err error) *TransportError {
	return newTransportError(op, err, false)
}
