package client

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
	"unicode"

	"google.golang.org/grpc/codes"

	pb "securesocket/gen/securesocket/v1"
)

// Error is what the service, or the way to it, says about a failure. Compare Reason, or use errors.Is: never the text.
//
// What this side finds wrong on the way to a service, before that has said a word, has Metadata["service"]:
//
//	untrusted    the service's certificate comes from no authority that this side trusts (Code UNAVAILABLE, as below)
//	expired      it is not valid now
//	name         it is for other names than the address has
//	certificate  something else is wrong with it
//	not_tls      there is no TLS at a grpcs address
//	not_http2    there is TLS, but no HTTP/2
//	wants_tls    there seems to be TLS at a grpc address
//	no_room      the service reset the connection at once: it has no room, or takes none from here for a while
//	refused      the service has ended the handshake, for a reason that is no certificate of this side's
//	identity     it wants a certificate of this side, or another one (Reason UNAUTHENTICATED)
//	token        there is no token to send, as its function or file has none (Reason UNAUTHENTICATED)
//
// errors.As finds what crypto/tls and crypto/x509 say about it, such as an x509.HostnameError.
//
// errors.Is holds for net.ErrClosed (cancelled or closed by the caller's side), os.ErrDeadlineExceeded (any clock that
// ran out, the network's silence included), io.ErrUnexpectedEOF (truncated by the peer), syscall.ECONNREFUSED,
// syscall.ECONNRESET, and of Client.Listen syscall.EADDRINUSE and syscall.EADDRNOTAVAIL; and for context.Canceled or context.DeadlineExceeded where the context of a dial was the cause.
type Error struct {
	// Code is the gRPC code that the failure has, or would have had as the end of a unary call.
	Code codes.Code
	// Reason is why. UNSPECIFIED where the service did not say: its transport failed (Code is UNAVAILABLE), or it is
	// newer than this package.
	Reason pb.ErrorReason
	// Message is for people, in English, without the phase.
	Message string
	// Metadata has the variable parts of the message by name: host, port, rule, alert and the like. It may be nil.
	Metadata map[string]string
	// Phase is the part of the connection's life in which it failed; UNSPECIFIED where it is not known.
	Phase pb.Phase
	// Report is the judgement of the peer's chain, where a refused certificate ended a dial; otherwise nil. Every text
	// in it was chosen by the peer.
	Report *pb.CertificateReport
	// RetryAfter is how long the service wants to be left alone before the next try. 0: it did not say, or time alone
	// does not help.
	RetryAfter time.Duration

	remedy *advice // of what is wrong on the way to the service; otherwise nil
	cause  error   // from package context or grpc, or the caller's own code; nil for what the service said
}

// Error returns one line: "securesocket: <phase>: <message>", without the phase where that is not known. Control
// characters, which a peer may have chosen, come out as spaces.
func (e *Error) Error() string {
	text := "securesocket: "
	if e.Phase != pb.Phase_PHASE_UNSPECIFIED {
		text += phaseName(e.Phase) + ": "
	}
	message := e.Message
	if message == "" {
		message = strings.ToLower(strings.ReplaceAll(reasonName(e.Reason), "_", " "))
	}
	return text + strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, message)
}

// Unwrap returns the local cause: the error of the context of a dial, or of gRPC; a *PanicError of Dialer.Decide; the error
// of a key of the caller's that did not sign; what kept a resumable connection from coming back within its grace. It is nil
// for what the service said.
func (e *Error) Unwrap() error { return e.cause }

// Is makes errors.Is hold for the errors of packages net, os, io and syscall that mean the same.
func (e *Error) Is(target error) bool {
	switch target {
	case net.ErrClosed:
		return e.Reason == pb.ErrorReason_ERROR_REASON_CANCELLED ||
			e.Reason == pb.ErrorReason_ERROR_REASON_UNSPECIFIED && e.Code == codes.Canceled
	case os.ErrDeadlineExceeded:
		return e.Timeout()
	case io.ErrUnexpectedEOF:
		return e.Reason == pb.ErrorReason_ERROR_REASON_PEER_TRUNCATED
	case syscall.ECONNREFUSED:
		return e.Reason == pb.ErrorReason_ERROR_REASON_CONNECTION_REFUSED
	case syscall.ECONNRESET:
		return e.Reason == pb.ErrorReason_ERROR_REASON_PEER_RESET
	case syscall.EADDRINUSE:
		return e.Reason == pb.ErrorReason_ERROR_REASON_ADDRESS_IN_USE
	case syscall.EADDRNOTAVAIL:
		return e.Reason == pb.ErrorReason_ERROR_REASON_ADDRESS_UNAVAILABLE
	}
	return false
}

// Timeout reports whether a clock ran out, as net.Error wants it.
func (e *Error) Timeout() bool {
	switch e.Reason {
	case pb.ErrorReason_ERROR_REASON_CONNECT_TIMEOUT,
		pb.ErrorReason_ERROR_REASON_HANDSHAKE_TIMEOUT,
		pb.ErrorReason_ERROR_REASON_NETWORK_TIMEOUT,
		pb.ErrorReason_ERROR_REASON_DECISION_TIMEOUT:
		return true
	}
	return e.Code == codes.DeadlineExceeded
}

// Temporary reports whether the same call may succeed later although nobody has changed anything.
func (e *Error) Temporary() bool { return e.Timeout() || e.advice().temporary }

// Side says who can mend it: "caller", "operator" (of the service), "network", "peer" or "service".
func (e *Error) Side() string { return e.advice().side }

// Remedy says in one line what would mend it, and where the service said so after how long.
func (e *Error) Remedy() string { return inWords(e.advice().remedy, e.RetryAfter) }

// phaseName is the phase as in texts: "handshake".
func phaseName(p pb.Phase) string {
	return strings.ToLower(strings.TrimPrefix(p.String(), "PHASE_"))
}

// reasonName is the reason as on the wire in google.rpc.ErrorInfo: "PEER_RESET".
func reasonName(r pb.ErrorReason) string {
	return strings.TrimPrefix(r.String(), "ERROR_REASON_")
}

// invalidField is the refusal of a setting before anything is sent, worded as the service would.
func invalidField(field, message string) *Error {
	return &Error{
		Code:     codes.InvalidArgument,
		Reason:   pb.ErrorReason_ERROR_REASON_INVALID_FIELD,
		Message:  field + ": " + message,
		Metadata: map[string]string{"field": field},
	}
}

// fromContext is the error of a dial whose context is done, in the phase that it had reached.
func fromContext(ctx context.Context, phase pb.Phase) *Error {
	e := &Error{Phase: phase, cause: ctx.Err()}
	if cause := context.Cause(ctx); !errors.Is(cause, e.cause) {
		e.cause = errors.Join(e.cause, cause)
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		e.Code = codes.Canceled
		e.Reason = pb.ErrorReason_ERROR_REASON_CANCELLED
		e.Message = "the caller gave up the dial"
		return e
	}
	e.Code = codes.DeadlineExceeded
	if phase == pb.Phase_PHASE_UNSPECIFIED {
		e.Message = "the service did not answer in time"
		return e
	}
	e.Reason = pb.ErrorReason_ERROR_REASON_CONNECT_TIMEOUT
	e.Message = "the caller's time for the dial is over"
	e.Metadata = map[string]string{"phase": phaseName(phase)}
	return e
}
