package tlsengine

import (
	"errors"
	"io"
	"net"
	"strconv"
	"syscall"
)

// End is the way in which one direction of a connection ended. The zero value is no end.
type End uint8

const (
	// EndCloseNotify is the peer's close_notify: the one end that proves that nothing is missing (RFC 8446, section 6.1).
	EndCloseNotify End = iota + 1
	// EndTruncated is a FIN at a record boundary without close_notify: data may be missing.
	EndTruncated
	// EndTruncatedRecord is a FIN inside a record or its header: data is missing.
	EndTruncatedRecord
	// EndReset is a reset by the peer, seen by a read or a write.
	EndReset
	// EndTimeout is the kernel's verdict that the peer no longer answers: keepalive or TCP_USER_TIMEOUT. A deadline is not.
	EndTimeout
	// EndUnreachable is a network that says it has no way to the peer.
	EndUnreachable
	// EndLocal is our own close.
	EndLocal
	// EndOther is an error that is none of the above; TransportError.Err has it.
	EndOther
)

var endNames = [...]string{"none", "close_notify", "truncated", "truncated inside a record", "reset by peer", "timed out",
	"unreachable", "closed locally", "failed"}

func (e End) String() string {
	if int(e) < len(endNames) {
		return endNames[e]
	}
	return "End(" + strconv.Itoa(int(e)) + ")"
}

// ErrWriteClosed is under the error of a Write that follows CloseWrite.
var ErrWriteClosed = errors.New("tlsengine: the write side is closed")

// TransportError reports that the connection under TLS ended.
type TransportError struct {
	End End
	Op  string // "handshake", "read", "write" or "close"
	// Err is the cause: net.ErrClosed or ErrWriteClosed for EndLocal, io.ErrUnexpectedEOF for a truncation, otherwise what
	// the network said. It is never io.EOF, which stands for close_notify alone.
	Err error
}

func (e *TransportError) Error() string {
	return "tlsengine: " + e.Op + ": " + e.End.String() + ": " + e.Err.Error()
}

// Unwrap returns Err.
func (e *TransportError) Unwrap() error { return e.Err }

// EndOf says how a connection ended, from an error of this package; io.EOF from Conn.Read is EndCloseNotify. It is false
// for errors that are no end of the transport: a deadline, an alert, a refused chain.
func EndOf(err error) (End, bool) {
	if t, ok := errors.AsType[*TransportError](err); ok {
		return t.End, true
	}
	if errors.Is(err, io.EOF) {
		return EndCloseNotify, true
	}
	return 0, false
}

// newTransportError classifies what a raw connection or crypto/tls returned. local says that this side had closed it.
func newTransportError(op string, err error, local bool) *TransportError {
	end := EndOther
	switch {
	case errors.Is(err, io.EOF):
		end, err = EndTruncated, io.ErrUnexpectedEOF
	case errors.Is(err, io.ErrUnexpectedEOF):
		end = EndTruncatedRecord
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNABORTED):
		end = EndReset
	case errors.Is(err, syscall.ETIMEDOUT):
		end = EndTimeout
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTDOWN),
		errors.Is(err, syscall.ENETDOWN), errors.Is(err, syscall.ENETRESET):
		end = EndUnreachable
	case errors.Is(err, net.ErrClosed), errors.Is(err, ErrWriteClosed):
		end = EndLocal
	case errors.Is(err, io.ErrClosedPipe) && !local:
		end = EndReset // an in-memory pipe whose far end is closed
	}
	if local && end == EndOther {
		end = EndLocal
		if !errors.Is(err, net.ErrClosed) {
			err = errors.Join(net.ErrClosed, err)
		}
	}
	return &TransportError{End: end, Op: op, Err: err}
}
