package client

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"slices"
	"syscall"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "securesocket/gen/securesocket/v1"
)

// What may be wrong on the way to the service, as in Error.Metadata["service"].
const (
	wayUntrusted   = "untrusted"
	wayExpired     = "expired"
	wayName        = "name"
	wayCertificate = "certificate"
	wayNotTLS      = "not_tls"
	wayNotHTTP2    = "not_http2"
	wayWantsTLS    = "wants_tls"
	wayNoRoom      = "no_room"
	wayRefused     = "refused"
	wayIdentity    = "identity"
	wayToken       = "token"
)

// wayAdvices says what would mend each of them.
var wayAdvices = map[string]*advice{
	wayUntrusted: {sideCaller, false,
		"trust the authority of the service's certificate by WithCAFile, if it is the one that you expect"},
	wayExpired: {sideOperator, false,
		"have the service's certificate renewed; check this machine's clock"},
	wayName: {sideCaller, false,
		"use an address by a name that the service's certificate carries, or have it made for this one too"},
	wayCertificate: {sideOperator, false,
		"have the service's certificate replaced"},
	wayNotTLS: {sideCaller, false,
		"use the port at which the service speaks TLS, or a grpc:// address if it is meant to be without; a service that takes no connections from here for a while ends them likewise: try again in 10 s"},
	wayNotHTTP2: {sideCaller, false,
		"check address and port: a service of gRPC's speaks HTTP/2 (ALPN h2)"},
	wayWantsTLS: {sideCaller, false,
		"use a grpcs:// address if there is TLS, and otherwise check address and port; a service that takes no connections from here for a while ends them likewise: try again in 10 s"},
	wayNoRoom: {sideService, true,
		"try again in 10 s: the service has no room, or takes no connections from here for a while"},
	wayRefused: {sideOperator, false,
		"look up the alert; the service's own log says why it was sent"},
	wayIdentity: {sideCaller, false,
		"show a certificate that the service trusts and that is valid now, by WithCertificateFiles"},
	wayToken: {sideCaller, false,
		"have a fresh token put where WithTokenFile or WithToken look for it"},
}

// wayError carries an Error through gRPC, which keeps the chain of an error that has a status.
type wayError struct{ failure Error }

func (e *wayError) Error() string { return e.failure.Message }
func (e *wayError) Unwrap() error { return e.failure.cause }

// GRPCStatus has the code: gRPC ends calls with it.
func (e *wayError) GRPCStatus() *status.Status { return status.New(e.failure.Code, e.failure.Message) }

func newWayError(what, message string, cause error) *wayError {
	e := Error{Code: codes.Unavailable, Message: message, Metadata: map[string]string{"service": what}, remedy: wayAdvices[what], cause: cause}
	if what == wayIdentity {
		e.Code, e.Reason = codes.Unauthenticated, pb.ErrorReason_ERROR_REASON_UNAUTHENTICATED
	}
	return &wayError{e}
}

// showing is how it went with this side's certificate in a handshake.
type showing struct {
	possible bool // there is one to show
	asked    bool // the service wanted to see one
}

// handshakeError says what went wrong as TLS with the service began.
func handshakeError(err error, own showing) error {
	if judged, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return certificateError(judged)
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return newWayError(wayNotTLS, "there is no TLS at the service's address", err)
	}
	if e := alertError(err, own); e != nil {
		return e
	}
	if reset(err) {
		return noRoom()
	}
	if ended(err) {
		return newWayError(wayNotTLS, "the service ended the connection before TLS had begun", nil)
	}
	return err
}

func certificateError(err *tls.CertificateVerificationError) error {
	const subject = "the service's certificate "
	var untrusted x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch text := err.Err.Error(); {
	case errors.As(err, &untrusted):
		return newWayError(wayUntrusted, subject+"is not trusted: "+text, err)
	case errors.As(err, &name):
		return newWayError(wayName, subject+"is for somebody else: "+text, err)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return newWayError(wayExpired, subject+"is not valid now: "+text, err)
	default:
		return newWayError(wayCertificate, subject+"is refused: "+text, err)
	}
}

// identityAlerts are those that a server sends about a client's certificate, RFC 8446 section 6.2.
var identityAlerts = []tls.AlertError{
	42,  // bad_certificate
	43,  // unsupported_certificate
	44,  // certificate_revoked
	45,  // certificate_expired
	46,  // certificate_unknown
	48,  // unknown_ca
	49,  // access_denied
	116, // certificate_required
}

// handshakeFailure is, among much else, how a server of TLS 1.2 asks again for a certificate: RFC 5246 section 7.4.6.
const handshakeFailure = tls.AlertError(40)

// alertError is about an alert of the service's; nil: err is none.
func alertError(err error, own showing) error {
	remote, ok := errors.AsType[*net.OpError](err)
	if !ok || remote.Op != "remote error" { // crypto/tls has no other name for it
		return nil
	}
	is := func(alert tls.AlertError) bool { return remote.Err.Error() == alert.Error() }
	switch text := remote.Err.Error(); {
	case slices.ContainsFunc(identityAlerts, is) && own.possible:
		return newWayError(wayIdentity, "the service refuses the certificate that it was shown: "+text, err)
	case slices.ContainsFunc(identityAlerts, is), own.asked && !own.possible && is(handshakeFailure):
		return newWayError(wayIdentity, "the service wants a certificate, and there is none to show: "+text, err)
	default:
		return newWayError(wayRefused, "the service refuses TLS: "+text, err)
	}
}

// ended reports whether the other side has ended a connection, in whatever way. Such an error is no cause to pass on: to
// whoever looks for it, io.EOF is the end of a stream, and a reset is the peer's.
func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || reset(err)
}

// reset reports whether the other side has ended it at once, not minding what was on its way.
func reset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// noRoom is about a connection that was reset before the service had said a word, as it does with those that it does not
// take: a server of another protocol would have read what it was sent.
func noRoom() error {
	return newWayError(wayNoRoom, "the service ended the connection before it had said a word", nil)
}
