package tlsengine

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// HandshakeKind says why a handshake failed that was neither refused by the verdict nor cut by the transport. The zero
// value is not used.
type HandshakeKind uint8

const (
	// NotTLS is a peer that speaks something else on this port.
	NotTLS HandshakeKind = iota + 1
	// Misbehaved is a peer that broke the protocol.
	Misbehaved
	// Incompatible is no version, suite or group in common.
	Incompatible
	// ALPNMismatch is no application protocol in common.
	ALPNMismatch
	// Internal is a fault of this side.
	Internal
)

var handshakeKindNames = [...]string{"unspecified", "peer does not speak TLS", "peer broke the protocol",
	"no version or cipher suite in common", "no application protocol in common", "internal error"}

func (k HandshakeKind) String() string {
	if int(k) < len(handshakeKindNames) {
		return handshakeKindNames[k]
	}
	return "HandshakeKind(" + strconv.Itoa(int(k)) + ")"
}

// HandshakeError reports a handshake that failed by protocol.
type HandshakeError struct {
	Kind  HandshakeKind
	Err   error       // the cause as crypto/tls gave it; its text may quote the peer
	Alert *AlertError // that went over the wire with it, either way; nil: none that could be seen
}

func (e *HandshakeError) Error() string {
	return "tlsengine: handshake: " + e.Kind.String() + ": " + e.Err.Error()
}

// Unwrap returns Err, and Alert if there is one.
func (e *HandshakeError) Unwrap() []error {
	if e.Alert == nil {
		return []error{e.Err}
	}
	return []error{e.Err, e.Alert}
}

var (
	errNoProtocol         = errors.New("the peer chose no application protocol")
	errNoProtocolInCommon = errors.New("the peer offered no application protocol that is wanted")
)

// mapHandshakeError gives an error of crypto/tls its type. The hook's own errors come back as they are.
func mapHandshakeError(err error, t *tap, s *settings) error {
	if e, ok := errors.AsType[*CertificateError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*HandshakeError](err); ok {
		return e
	}
	if flood, ok := errors.AsType[*FloodError](err); ok {
		return &HandshakeError{Kind: Misbehaved, Err: flood}
	}
	if isDeadline(err) {
		return fmt.Errorf("tlsengine: handshake: %w", err)
	}
	if a := alertFrom(err); a != nil && a.Remote {
		if kind, ok := remoteAlertKind(a.Alert); ok && (kind == ALPNMismatch || t.first[0] == recordAlert) {
			// Before its hello: afterwards version and suite are agreed on, and the alert is about something else.
			return &HandshakeError{Kind: kind, Err: err, Alert: a}
		}
		return a
	}
	if rh, ok := errors.AsType[tls.RecordHeaderError](err); !t.saidTLS() || ok && rh.Conn != nil {
		return &HandshakeError{Kind: NotTLS, Err: err, Alert: t.alert()}
	}
	if end := t.handshakeEnd(err); end != nil {
		return end
	}
	if e := s.certificateFailure(err); e != nil {
		return e
	}
	a := alertFrom(err)
	if a == nil {
		a = t.alert()
	}
	return &HandshakeError{Kind: localKind(err, a, t), Err: err, Alert: a}
}

// misleading begin crypto/tls's errors about a peer that broke the protocol and is sent an alert that says otherwise:
// internal_error for a message beyond its bound, handshake_failure for a Finished that is wrong under TLS 1.2 and for a
// renegotiation where there is nothing to renegotiate.
var misleading = []string{"tls: handshake message of length", "tls: client's Finished message is incorrect",
	"tls: initial handshake had non-empty renegotiation extension"}

func remoteAlertKind(alert uint8) (HandshakeKind, bool) {
	switch alert {
	case alertHandshakeFailure, alertProtocolVersion, alertInsufficientSecurity:
		return Incompatible, true
	case alertNoApplicationProtocol:
		return ALPNMismatch, true
	}
	return 0, false
}

// localKind classifies a failure that this side found, by the alert that crypto/tls answered with.
func localKind(err error, a *AlertError, t *tap) HandshakeKind {
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return Misbehaved // sends protocol_version too, for a record that contradicts the version agreed on
	}
	switch {
	case a == nil && t.firstLen == 0:
		return Internal
	case a == nil:
		return Misbehaved
	case slices.ContainsFunc(misleading, func(text string) bool { return strings.HasPrefix(err.Error(), text) }):
		return Misbehaved
	case a.Alert == alertInternalError:
		return Internal
	case a.Alert == alertHandshakeFailure, a.Alert == alertProtocolVersion, a.Alert == alertInsufficientSecurity:
		return Incompatible
	case a.Alert == alertNoApplicationProtocol:
		return ALPNMismatch
	}
	return Misbehaved
}

// alert returns the alert that this side sent in clear, or nil.
func (t *tap) alert() *AlertError {
	if !t.alerted {
		return nil
	}
	return &AlertError{Alert: t.sentAlert}
}

// handshakeEnd returns the end of the transport if that is what err is, or nil.
func (t *tap) handshakeEnd(err error) error {
	if errors.Is(err, io.EOF) && t.readErr == nil {
		return &TransportError{End: EndCloseNotify, Op: "handshake", Err: io.ErrUnexpectedEOF}
	}
	if t.readErr != nil && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, t.readErr)) ||
		t.writeErr != nil && errors.Is(err, t.writeErr) {
		return newTransportError("handshake", err, false)
	}
	return nil
}
