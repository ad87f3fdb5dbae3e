package metrics

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"securesocket/server/callers"
)

// Why a caller was not authenticated.
const (
	faultNone        = "no_credentials"
	faultToken       = "token"
	faultCertificate = "certificate"
	faultIssuer      = "issuer"
	faultHandshake   = "handshake"
)

// callerCounters count RPCs by how their callers were known, or were not.
type callerCounters struct {
	known   *counters // by kind of principal
	unknown *counters // by fault
}

func newCallerCounters(reg *prometheus.Registry) callerCounters {
	return callerCounters{
		known: newCounters(reg, "authentications_total",
			"RPCs whose caller is known, by the kind of his principal.", "kind",
			[]string{
				callers.KindUID, callers.KindSPIFFE, callers.KindDNS, callers.KindEmail, callers.KindX509,
				callers.KindJWT, callers.KindToken, callers.Anonymous,
			}),
		unknown: newCounters(reg, "authentication_failures_total",
			"RPCs whose caller could not be known, and TLS handshakes that ended for their caller's certificate, by what was wrong.", "fault",
			[]string{faultNone, faultToken, faultCertificate, faultIssuer, faultHandshake}),
	}
}

// Authenticated counts what became of an RPC's credentials: whose they are, or why
// they are nobody's.
func (m *Metrics) Authenticated(principal string, err error) {
	if err == nil && principal != "" {
		m.callers.known.inc(callers.KindOf(principal))
		return
	}
	m.callers.unknown.inc(faultOf(err))
}

// HandshakeRefused counts a caller's TLS handshake that ended for his certificate, or
// for want of one: he gets to no RPC.
func (m *Metrics) HandshakeRefused() { m.callers.unknown.inc(faultHandshake) }

func faultOf(err error) string {
	if err == nil || errors.Is(err, callers.ErrNoCredentials) {
		return faultNone
	}
	if _, ok := errors.AsType[*callers.TokenError](err); ok {
		return faultToken
	}
	if _, ok := errors.AsType[*callers.CertificateError](err); ok {
		return faultCertificate
	}
	if _, ok := errors.AsType[*callers.IssuerError](err); ok {
		return faultIssuer
	}
	return other
}
