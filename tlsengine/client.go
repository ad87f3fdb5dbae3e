package tlsengine

import (
	"context"
	"crypto/tls"
	"errors"
	"net"

	"securesocket/tlsengine/identity"
)

// Client runs a TLS client handshake over raw and judges the peer's chain inside it, before anything that the caller
// wrote is sent.
//
// On failure raw is left open: it has been given the alert that belongs to the failure and is good for nothing but Close.
// When ctx ends, raw is woken through its deadlines, which are cleared afterwards; only a raw connection that has none
// is closed. On success the Conn owns raw.
//
// Errors: *CertificateError with the report when the chain was refused, *DecisionError when whoever decides refused it,
// *identity.SignError when a key that is elsewhere did not sign, *AlertError, *HandshakeError, *TransportError,
// *ConfigError; when ctx ended first, an error that wraps context.Cause(ctx); when a deadline of raw passed, one that
// wraps os.ErrDeadlineExceeded. A refused chain wins over everything that came after it.
func Client(ctx context.Context, raw net.Conn, cfg *Config) (*Conn, error) {
	s, err := cfg.settings()
	if err != nil {
		return nil, err
	}
	if s.PeerIsClient {
		return nil, &ConfigError{"PeerIsClient", "the peer of a client is a server"}
	}
	if ctx.Err() != nil {
		return nil, interrupted(ctx)
	}
	v, t := new(verdict), newTap(raw, nil)
	return shake(ctx, s, v, t, tls.Client(t, clientTLSConfig(ctx, s, v, v.reach)))
}

// shake is Client with a connection of crypto/tls that has not begun.
func shake(ctx context.Context, s *settings, v *verdict, t *tap, conn *tls.Conn) (*Conn, error) {
	err := handshake(ctx, s, v, t, conn)
	shown := v.clientCertificate()
	if a, ok := errors.AsType[*AlertError](err); ok {
		_ = a.about(shown)
	}
	if err != nil {
		return nil, err
	}
	v.shown = nil // as forget: who gave it may take it back
	cs := conn.ConnectionState()
	return &Conn{tls: conn, tap: t, state: newState(cs, s.serverName, shown), report: v.report,
		endPoint: endPointOf(cs.PeerCertificates[0]), alertsAbout: shown}, nil
}

// clientCertificate says what became of ours.
func (v *verdict) clientCertificate() ClientCertificate {
	switch {
	case v.shown == nil:
		return NotRequested
	case len(v.shown.Certificate) == 0:
		return NoneShown
	}
	return OneShown
}

// clientTLSConfig is the one place that turns off the verification of crypto/tls, which would end the handshake before
// the chain could be reported on, and puts a hook in its place. Without a hook every chain is refused.
func clientTLSConfig(ctx context.Context, s *settings, v *verdict, hook func(tls.ConnectionState) error) *tls.Config {
	if hook == nil {
		hook = func(tls.ConnectionState) error { return noVerdict() }
	}
	conf := &tls.Config{
		ServerName:             s.serverName,
		NextProtos:             s.alpn,
		MinVersion:             s.min,
		MaxVersion:             s.max,
		CipherSuites:           s.cipherSuites,
		CurvePreferences:       s.groups,
		Time:                   s.now,
		Renegotiation:          tls.RenegotiateNever,
		SessionTicketsDisabled: s.Sessions == nil,
		InsecureSkipVerify:     true,
		VerifyConnection:       hook, // on a resumed connection too
	}
	if s.Sessions != nil {
		conf.ClientSessionCache = view{s.Sessions, s.now}
	}
	v.ctx, v.settings = ctx, s
	conf.GetClientCertificate = func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if v.settings == nil {
			return nil, noVerdict()
		}
		cert, err := identity.Select(v.ctx, v.settings.Identities, v.settings.Sign, info)
		v.shown = cert
		return cert, err
	}
	return conf
}
