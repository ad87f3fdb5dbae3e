package session

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"syscall"
	"time"

	"securesocket/session/resume"
	"securesocket/tlsengine"
)

// ErrNotFound says that no session of this owner has the ID.
var ErrNotFound = errors.New("no such session")

// ErrCancelled says that the caller gave the attempt up, or ended it by Close,
// DeleteSession or another Connect.
var ErrCancelled = errors.New("given up by the caller")

// StateError reports that the session is not in a state that allows the operation.
type StateError struct {
	Op   string // what was asked for
	Have string // where the session is
	Want string // where it would have to be
}

func (e *StateError) Error() string {
	return fmt.Sprintf("%s: the session is %s; it has to be %s", e.Op, e.Have, e.Want)
}

// ClosedError reports that the connection, or the half of it that mattered, has ended
// without a failure.
type ClosedError struct{ Cause CloseCause }

func (e *ClosedError) Error() string { return "the connection has ended: " + e.Cause.String() }

// Unwrap makes it a net.ErrClosed.
func (e *ClosedError) Unwrap() error { return net.ErrClosed }

// FieldError reports that a setting or argument has a value that is not allowed.
type FieldError struct {
	Field string // its path, as "tls.min_version"
	Why   string
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Why }

// UnsupportedError reports a setting that is known and not supported.
type UnsupportedError struct {
	Field string
	Why   string // empty: this service never supports it
}

func (e *UnsupportedError) Error() string {
	if e.Why != "" {
		return e.Field + ": " + e.Why
	}
	return e.Field + " is not supported by this service"
}

// ProtocolError reports a protocol version that is never spoken, or not allowed.
type ProtocolError struct {
	Field   string
	Version string
	Legacy  bool // the operator could allow it
}

func (e *ProtocolError) Error() string {
	if e.Legacy {
		return fmt.Sprintf("%s: %s is not allowed; the operator can allow it with --legacy-tls", e.Field, e.Version)
	}
	return fmt.Sprintf("%s: %s is broken and never spoken", e.Field, e.Version)
}

// CipherError reports a cipher suite that cannot be offered.
type CipherError struct {
	Field string
	Suite string // empty: the list as a whole
	Why   string
}

func (e *CipherError) Error() string {
	if e.Suite == "" {
		return e.Field + ": " + e.Why
	}
	return fmt.Sprintf("%s: %.64q: %s", e.Field, e.Suite, e.Why)
}

// CertificateInputError reports that bytes given as a certificate are not one.
type CertificateInputError struct{ Why string }

func (e *CertificateInputError) Error() string { return "not a certificate: " + e.Why }

// NotAllowedError reports what the operator does not let this caller, or anybody, do.
type NotAllowedError struct {
	What string // what was asked for
	Why  string
}

func (e *NotAllowedError) Error() string { return e.What + ": " + e.Why }

// DecisionError reports that a chain with problems was not accepted.
type DecisionError struct {
	Report  *tlsengine.Report // never nil
	Timeout bool              // there was no answer
	Limit   time.Duration     // of decision_timeout
}

func (e *DecisionError) Error() string {
	if e.Timeout {
		return fmt.Sprintf("no decision about the peer's certificate came within %v", e.Limit)
	}
	return "the caller did not accept the problems of the peer's certificate"
}

// SignatureTimeoutError reports that the caller, who keeps the key, did not sign while the clock ran.
type SignatureTimeoutError struct{ Limit time.Duration }

func (e *SignatureTimeoutError) Error() string {
	return fmt.Sprintf("no answer to the sign_request came within %v", e.Limit)
}

// What the core of the stream refuses, in its own words.
type (
	// OffsetError reports a position that does not fit what the service has.
	OffsetError = resume.OffsetError
	// GapError reports that bytes before a position are missing: the stream cannot go on.
	GapError = resume.GapError
	// WindowError reports bytes beyond send_limit: the stream cannot go on.
	WindowError = resume.WindowError
	// SupersededError reports that another stream has taken the session.
	SupersededError = resume.SupersededError
	// TokenError reports that the resume token is missing or wrong.
	TokenError = resume.TokenError
	// ExpiredError reports that a session was without a stream for longer than its grace, and what had become of its bytes.
	ExpiredError = resume.ExpiredError
)

// RequestIDError reports that a request_id came again with other arguments.
type RequestIDError struct{ ID string }

func (e *RequestIDError) Error() string {
	return fmt.Sprintf("request_id %.128q was used with other arguments", e.ID)
}

// LimitError reports that a limit of the service is reached.
type LimitError struct {
	What  string        // "sessions of a caller", ...
	Limit int           // how many; of a rate, how many a second
	Retry time.Duration // when to try again; 0: time alone does not help
}

func (e *LimitError) Error() string {
	switch {
	case e.Retry > 0 && e.Limit > 0:
		return fmt.Sprintf("too many %s (limit %d): try again in %s", e.What, e.Limit, e.Retry)
	case e.Retry > 0:
		return fmt.Sprintf("too many %s: try again in %s", e.What, e.Retry)
	}
	return fmt.Sprintf("limit reached: %d %s", e.Limit, e.What)
}

// DrainingError reports that the service is about to stop.
type DrainingError struct{}

func (e *DrainingError) Error() string { return "the service is about to stop" }

// PolicyError reports that the egress policy refused the target. Err is the policy's own.
type PolicyError struct{ Err error }

func (e *PolicyError) Error() string { return e.Err.Error() }

func (e *PolicyError) Unwrap() error { return e.Err }

// InternalError reports a defect of the service. The cause is in the logs, under ID.
type InternalError struct{ ID string }

func (e *InternalError) Error() string {
	return "a defect of the service; its logs have more under " + e.ID
}

// Internal logs a defect and returns what a caller is told of it.
func Internal(log *slog.Logger, what string, args ...any) *InternalError {
	e := &InternalError{ID: rand.Text()}
	log.With(args...).Error("internal error", "id", e.ID, "what", what)
	return e
}

// NetworkKind tells troubles on the way to the peer apart.
type NetworkKind int

// The kinds.
const (
	NetworkHostNotFound NetworkKind = iota + 1
	NetworkDNSFailure
	NetworkRefused
	NetworkUnreachable
	NetworkHostUnreachable
	NetworkTimeout
	NetworkReset
	NetworkLocalResources
)

// NetworkError is trouble on the way to the peer.
type NetworkError struct {
	Kind  NetworkKind
	Phase Phase
	Addr  string // what was asked or dialled
	Err   error
}

// Error leaves out which name server was asked: that is the operator's matter.
func (e *NetworkError) Error() string {
	return e.Addr + ": " + e.why()
}

func (e *NetworkError) why() string {
	if source, ok := errors.AsType[*SourceError](e.Err); ok {
		return source.Error()
	}
	if errno, ok := errors.AsType[syscall.Errno](e.Err); ok && e.Phase != PhaseDNS {
		return errno.Error()
	}
	switch e.Kind {
	case NetworkHostNotFound:
		return "no such host, or no address of the wanted family"
	case NetworkDNSFailure:
		return "the name servers gave no usable answer"
	case NetworkTimeout:
		return "no answer in time"
	}
	return "the network failed"
}

func (e *NetworkError) Unwrap() error { return e.Err }

// TimeoutError reports that a clock of connecting ran out.
type TimeoutError struct {
	Phase Phase         // the phase it ran out in
	Limit time.Duration // the clock's
	Clock string        // the setting, as HandshakeClock
}

// HandshakeClock is the Clock of the handshake's own.
const HandshakeClock = "tls.handshake_timeout"

func (e *TimeoutError) Error() string {
	return fmt.Sprintf("%s of %v ran out in the phase %s", e.Clock, e.Limit, e.Phase)
}

// Timeout makes it a net.Error.
func (e *TimeoutError) Timeout() bool { return true }
