package tlsengine

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"slices"

	"securesocket/tlsengine/identity"
)

// Server runs a TLS server handshake over raw and judges the chain that the client shows inside it, if Config.ClientAuth
// asks for one. Config.PeerIsClient is implied, Config.Identities are needed, and nothing is resumed.
//
// received is what has been read from raw already: the beginning of the client's hello, or more; nil: nothing. It is
// copied.
//
// What is said of raw, ctx and the errors of [Client] holds here too. A client that had to show a certificate and showed
// none is a *CertificateError whose report has NoPeerCertificate. The report of a Conn whose client showed none is
// UNKNOWN, without a chain and without a problem.
//
// The client's Finished and its proof that it has the key come after the judgement; a handshake without them fails.
func Server(ctx context.Context, raw net.Conn, cfg *Config, received []byte) (*Conn, error) {
	s, err := cfg.serverSettings()
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, interrupted(ctx)
	}
	v, t := new(verdict), newTap(raw, received)
	conf := serverTLSConfig(ctx, s, v)
	conn := tls.Server(t, conf)
	err = handshake(ctx, s, v, t, conn)
	conf.ClientCAs = nil // crypto/tls keeps conf
	if e, ok := errors.AsType[*HandshakeError](err); ok && e.Alert == nil {
		e.Alert = t.alert()
	}
	if err != nil {
		return nil, err
	}
	leaf := v.shown.Leaf
	v.shown = nil // as forget: who gave it may take it back
	cs := conn.ConnectionState()
	return &Conn{tls: conn, tap: t, state: newState(cs, printableName(cs.ServerName), s.clientAuth.outcome(cs)),
		report: v.report, endPoint: endPointOf(leaf)}, nil
}

// serverSettings are the settings of a server, whose peer is a client.
func (c *Config) serverSettings() (*settings, error) {
	if c == nil {
		return nil, &ConfigError{"Config", "is nil"}
	}
	own := *c
	own.ServerName, own.PeerIsClient, own.Sessions = "", true, nil
	s, err := own.settings()
	switch {
	case err != nil:
		return nil, err
	case len(c.Identities) == 0:
		return nil, &ConfigError{"Identities", "a server needs at least one"}
	case slices.Contains(c.Identities, nil):
		return nil, &ConfigError{"Identities", "holds a nil identity"}
	case c.ClientAuth < 0 || c.ClientAuth > ClientAuthRequireAndVerify:
		return nil, &ConfigError{"ClientAuth", c.ClientAuth.String() + " is not known"}
	}
	s.server, s.clientAuth = true, max(c.ClientAuth, ClientAuthNone)
	return s, nil
}

// serverTLSConfig leaves asking to crypto/tls, which has the right alert for a client that shows nothing, and never the
// judging.
func serverTLSConfig(ctx context.Context, s *settings, v *verdict) *tls.Config {
	v.ctx, v.settings = ctx, s
	conf := &tls.Config{
		NextProtos:             s.alpn,
		MinVersion:             s.min,
		MaxVersion:             s.max,
		CipherSuites:           s.cipherSuites,
		CurvePreferences:       s.groups,
		Time:                   s.now,
		Renegotiation:          tls.RenegotiateNever,
		SessionTicketsDisabled: true,
		VerifyConnection:       v.reach,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if v.settings == nil {
				return nil, noVerdict()
			}
			return v.selectCertificate(hello)
		},
	}
	switch {
	case s.clientAuth.requires():
		conf.ClientAuth = tls.RequireAnyClientCert
	case s.clientAuth.asks():
		conf.ClientAuth = tls.RequestClientCert
	}
	if s.clientAuth.asks() {
		conf.ClientCAs = s.namedAuthorities()
	}
	return conf
}

// selectCertificate also is the first look at the whole hello. A certificate without a key makes crypto/tls answer with
// handshake_failure, where an error would say internal_error.
func (v *verdict) selectCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	s := v.settings
	if !s.agreesOnALPN(hello.SupportedProtos) {
		v.refusal = &HandshakeError{Kind: ALPNMismatch, Err: errNoProtocolInCommon}
		return new(tls.Certificate), nil
	}
	cert, err := identity.SelectServer(v.ctx, s.Identities, s.Sign, hello)
	v.shown = cert
	return cert, err
}

// agreesOnALPN is RFC 7301, section 3.2, and RequireALPN. crypto/tls takes a client of "http/1.1" for one without ALPN
// where this side has "h2" alone.
func (s *settings) agreesOnALPN(offered []string) bool {
	if len(s.alpn) == 0 || len(offered) == 0 {
		return !s.requireALPN
	}
	return slices.ContainsFunc(offered, func(p string) bool { return slices.Contains(s.alpn, p) })
}

// maxNamed bounds what the names of authorities take in a certificate request: one record.
const maxNamed = 16 << 10

// namedAuthorities are named to the client, so that it can choose; nil: none is. Nobody is helped by hundreds of base
// anchors. crypto/tls uses them for nothing else.
func (s *settings) namedAuthorities() *x509.CertPool {
	if s.trust.Roots != nil || len(s.trust.Anchors) == 0 {
		return nil
	}
	pool, size := x509.NewCertPool(), 0
	for _, anchor := range s.trust.Anchors {
		if size += 2 + len(anchor.RawSubject); size > maxNamed {
			return nil
		}
		pool.AddCert(anchor)
	}
	return pool
}

// outcome says what became of the client's certificate.
func (a ClientAuth) outcome(cs tls.ConnectionState) ClientCertificate {
	switch {
	case !a.asks():
		return NotRequested
	case len(cs.PeerCertificates) == 0:
		return NoneShown
	}
	return OneShown
}

// withoutCertificate is the judgement of a client that showed nothing.
func (s *settings) withoutCertificate() (*Report, error) {
	r := newReport(s)
	if !s.clientAuth.requires() {
		return r, nil
	}
	r.refuse(Problem{Code: NoPeerCertificate, Depth: -1, Message: "the client showed no certificate, and has to",
		Hint: "client: configure a certificate, issued by an authority that this server trusts; caller: check client_auth"})
	return r, &CertificateError{Report: r}
}

// printableName is a server name as the client sent it; empty for what cannot be one, since crypto/tls takes any bytes.
func printableName(name string) string {
	if len(name) > 255 {
		return ""
	}
	for _, c := range []byte(name) {
		if c <= ' ' || c > '~' {
			return ""
		}
	}
	return name
}
