package tlsengine

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// closeNotifyLimit bounds what a polite Close may cost when the peer does not read.
const closeNotifyLimit = 100 * time.Millisecond

// Conn is an established TLS connection whose peer has been judged. It takes one reader and one writer at a time; every
// other method may run beside them.
type Conn struct {
	tls    *tls.Conn
	tap    *tap
	state  State
	report *Report

	endPoint    endPoint          // of the leaf that the server showed, the peer's or ours
	alertsAbout ClientCertificate // what the peer's alerts may be about

	closeOnce   sync.Once
	closed      atomic.Bool // Close or Abort has begun
	writeClosed atomic.Bool // CloseWrite has begun

	// The reader's.
	readEnd error // the first end, returned ever after
	drained bool  // the last read was a TryRead that took what there was: crypto/tls has no whole record left
}

// Read reads plaintext. It returns io.EOF for the peer's close_notify and for nothing else; any other end is a
// *TransportError, an *AlertError or a *FloodError and lasts. Data that came before an end is returned before it, or with
// it. A read deadline gives an error that is os.ErrDeadlineExceeded, and reading may go on after it. Close and Abort
// unblock it.
func (c *Conn) Read(p []byte) (int, error) {
	if c.readEnd != nil {
		return 0, c.readEnd
	}
	c.drained = false
	n, err := c.tls.Read(p)
	c.tap.meter.gave(n)
	if err == nil || isDeadline(err) {
		return n, err
	}
	c.readEnd = c.mapReadError(err)
	return n, c.readEnd
}

func (c *Conn) mapReadError(err error) error {
	if flood, ok := errors.AsType[*FloodError](err); ok {
		return flood
	}
	if a := alertFrom(err); a != nil {
		return a.about(c.alertsAbout)
	}
	if errors.Is(err, io.EOF) && c.tap.readErr == nil {
		return io.EOF // crypto/tls stopped before the raw connection did: close_notify
	}
	end := newTransportError("read", err, c.closed.Load())
	if end.End == EndOther && c.tap.readErr == nil {
		// The transport is well: the peer broke the protocol, and crypto/tls has the alert only on the wire. It answers so to
		// a handshake message out of turn, such as a client's that renegotiates, and to records that lead nowhere.
		return &AlertError{Alert: alertUnexpectedMessage}
	}
	return end
}

// Write writes plaintext and returns when the kernel has it; after an error n counts the bytes whose records the kernel
// has completely. Its errors are *TransportError (EndLocal with ErrWriteClosed after CloseWrite, with net.ErrClosed after
// Close) and *AlertError; all of them last. Close and Abort unblock it. p is not kept.
func (c *Conn) Write(p []byte) (int, error) {
	// After close_notify crypto/tls leaves a write deadline in the past, whose timeout would be a lie.
	if c.writeClosed.Load() && !c.closed.Load() {
		return 0, &TransportError{End: EndLocal, Op: "write", Err: ErrWriteClosed}
	}
	n, err := c.writeCorked(p)
	if err == nil {
		return n, nil
	}
	return n, c.mapWriteError("write", err)
}

// writeCorked gives the kernel up to four records at once, where p is more than one.
func (c *Conn) writeCorked(p []byte) (int, error) {
	if len(p) <= minHeld {
		return c.tls.Write(p)
	}
	c.tap.cork.begin(len(p), &c.state)
	n, err := c.tls.Write(p)
	lost, lostErr := c.tap.cork.end(c.tap.Conn)
	if err == nil {
		err = lostErr
	}
	return n - lost, err
}

func (c *Conn) mapWriteError(op string, err error) error {
	if a := alertFrom(err); a != nil {
		return a.about(c.alertsAbout)
	}
	if c.writeClosed.Load() && !c.closed.Load() && !c.tap.cork.failed() {
		err = ErrWriteClosed // crypto/tls says so in its words to a Write that CloseWrite has overtaken
	}
	return newTransportError(op, err, c.closed.Load())
}

// CloseWrite sends close_notify and leaves the read side open (RFC 8446, section 6.1). It waits for a Write in flight, and
// for a peer that does not read at most five seconds. It is idempotent. Nothing can be written afterwards.
func (c *Conn) CloseWrite() error {
	c.writeClosed.Store(true)
	if err := c.tls.CloseWrite(); err != nil {
		return c.mapWriteError("close", err)
	}
	return nil
}

// CloseWriteRaw sends the transport's own FIN, below TLS: without CloseWrite before it, the peer sees a truncation. It
// returns an error that is errors.ErrUnsupported when the raw connection has no half-close.
func (c *Conn) CloseWriteRaw() error {
	half, ok := c.tap.Conn.(interface{ CloseWrite() error })
	if !ok {
		return &TransportError{End: EndOther, Op: "close", Err: errors.ErrUnsupported}
	}
	c.writeClosed.Store(true)
	if err := half.CloseWrite(); err != nil {
		return newTransportError("close", err, c.closed.Load())
	}
	return nil
}

// Close sends close_notify, for at most 100 ms and only when no Write is in flight, and closes the raw connection. What
// the kernel has of earlier writes is still delivered. It is idempotent, and returns what closing the raw connection
// returned; a close_notify that could not be sent is no error. It waits for a Close that runs already.
func (c *Conn) Close() error {
	c.closeOnce.Do(func() {
		c.closed.Store(true)
		c.tap.limitWrites(closeNotifyLimit)
		_ = c.tls.Close()
	})
	return c.tap.Close()
}

// Abort closes at once: no close_notify, and over TCP a reset, so that unsent data is dropped. It is idempotent, never
// waits, and cuts a Close short.
func (c *Conn) Abort() error {
	c.closed.Store(true)
	return c.tap.abort()
}

// State returns what the handshake agreed on.
func (c *Conn) State() State { return c.state }

// Report returns the judgement of the peer's chain. It is shared: it must not be modified.
func (c *Conn) Report() *Report { return c.report }

// LocalAddr returns the raw connection's local address.
func (c *Conn) LocalAddr() net.Addr { return c.tap.LocalAddr() }

// RemoteAddr returns the raw connection's remote address.
func (c *Conn) RemoteAddr() net.Addr { return c.tap.RemoteAddr() }

// SetReadDeadline sets when a Read or AwaitRead, the one in flight included, gives up; the zero time is never.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.tap.SetReadDeadline(t) }

// isDeadline tells a deadline of ours from ETIMEDOUT, which also says Timeout() but is an end.
func isDeadline(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
