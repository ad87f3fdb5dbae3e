package client

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	pb "securesocket/gen/securesocket/v1"
)

// Conn is a TLS connection that the service holds, as a net.Conn. Its peer is trusted: Dial returns no other; TrustBasis
// says whether because its certificate is valid or because Dialer.Decide accepted it. One of DialPlain is plain until
// StartTLS: Encrypted tells. One of a Listener is in the server's role, where ListenConfig.ClientAuth says what the peer
// had to show. Every method may be called at any time from any goroutine.
//
// Methods of net.Conn keep to its rules. Beyond them: Read returns io.EOF only after the peer's close_notify, of a plain
// connection after its FIN, and whatever ended the connection, first everything that was received before. Errors that are
// not about a deadline or the caller's own Close are of type *Error.
type Conn struct {
	places    *streamPool
	dedicated *pooledConn                  // nil: the streams of this Conn share connections
	service   pb.SecureSocketServiceClient // for unary calls
	hooks     hooks
	resumable bool
	// plain: it begins without TLS. A session that is taken over says itself what it is.
	plain bool
	// fresh: its session goes with it if nobody gets it.
	fresh bool

	// ctx is that of all streams; cancel ends it, which is an abort of the socket unless it has ended.
	ctx    context.Context
	cancel context.CancelFunc
	// asking is the context of the questions of the handshake; answered ends it, when there can be none any more.
	asking   context.Context
	answered context.CancelFunc

	read  receiveBuffer
	write sendBuffer

	// ready is closed by the receive goroutine when the connection is secure or, if it begins without TLS, is there.
	ready chan struct{}
	// ended is closed by the receive goroutine when the last stream is over.
	ended chan struct{}
	// facts is what the receive goroutine has learned. It is its own until ready or ended is closed.
	facts facts
	// security is what TLS has brought; the receive goroutine stores it, once. nil: the connection is plain, or not there.
	security atomic.Pointer[security]
	// resume is what it takes to come back; the receive goroutine's own.
	resume resumption
	// delivered is how many bytes are known to have reached the peer's socket; the receive goroutine stores it.
	delivered atomic.Int64
	// declined is the last error of the caller's own code that was asked; the goroutines of answer store it.
	declined atomic.Pointer[error]

	// arrived is how many bytes have come, counted from the start of the session; the receive goroutine stores it.
	arrived atomic.Int64
	closing sync.Once
	closed  atomic.Bool // Close was called
	aborted atomic.Bool
	// returned: Dial or Accept has returned it.
	returned atomic.Bool
}

// SessionID is the session's ID in the service, for its logs and listings. The session goes with the connection: no
// call finds it afterwards, but for a Bookmark.
func (c *Conn) SessionID() string { return c.facts.sessionID }

// LocalAddr is the service's side of the TCP connection, not this process's: a protocol that tells the peer an address
// to connect back to will not work with it.
func (c *Conn) LocalAddr() net.Addr { return c.facts.local }

// RemoteAddr is the peer's address, as the service dialled or accepted it; through a proxy the proxy's.
func (c *Conn) RemoteAddr() net.Addr { return c.facts.remote }

// Read waits for at least one byte and returns what is there, up to len(p). Data, a deadline, the end of the connection
// and Close unblock it. After the last byte received it returns io.EOF if the peer ended with close_notify; an *Error
// with PEER_TRUNCATED, which errors.Is io.ErrUnexpectedEOF, if the peer ended without; any other *Error otherwise. Of a
// plain connection io.EOF is the peer's FIN, of which nobody can tell whether it was everything. After Close it returns
// net.ErrClosed. While a resumable connection is without a stream it returns what is there, and waits. While a StartTLS is
// under way it waits.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.read.read(p)
	c.write.read(n)
	return n, err
}

// Write copies p into a buffer for the service and returns when all of it is in there, so a failure to deliver shows at a
// later Write, at Read or at Close. The buffer has 256 KiB for what is to be sent or, if the connection is resumable, 1 MiB
// for what the service has not confirmed. Writes of several goroutines do not mix. What is
// written while a StartTLS is under way leaves under TLS alone. Room, a deadline, the end of the connection and Close
// unblock it; then n bytes of p are on their way all the same. An empty p waits for nothing
// and tells whether the connection can be written to. After CloseWrite it returns an error that is syscall.EPIPE, after
// Close net.ErrClosed.
func (c *Conn) Write(p []byte) (n int, err error) { return c.write.write(p) }

// CloseWrite ends the writing half after what has been written: the peer sees close_notify, where the connection is plain
// a FIN, and may go on sending. It
// does not wait. Again, it does nothing.
func (c *Conn) CloseWrite() error { return c.write.closeWrite() }

// SentOffset is how many bytes Write has taken over, counted from the start of the session: after Dialer.Resume it begins
// with what the service already had.
func (c *Conn) SentOffset() int64 { return c.write.written() }

// Ack says that the bytes before offset, counted from the start of the session, need not be kept by the service any more;
// of what Read has not returned nothing is acked. It is for Dialer.ManualAck, and does nothing otherwise.
func (c *Conn) Ack(offset int64) {
	if c.write.acks.manual {
		c.write.acked(min(offset, c.read.returned()), false)
	}
}

// SetDeadline sets both deadlines. They go on while a resumable connection is without a stream.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.read.setDeadline(t); err != nil {
		return err
	}
	return c.write.setDeadline(t)
}

// SetReadDeadline sets the instant after which Read returns os.ErrDeadlineExceeded, those that wait included; the zero
// time is none. Nothing is lost: a later deadline goes on where it was.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.read.setDeadline(t) }

// SetWriteDeadline is the same for Write. What Write says it has taken is sent nevertheless.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.write.setDeadline(t) }
