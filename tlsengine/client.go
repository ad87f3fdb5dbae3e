package tlsengine

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

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
	if ctx.Err() != nil {
		return nil, interrupted(ctx)
	}
	v := new(verdict)
	return handshake(ctx, raw, clientTLSConfig(ctx, s, v, v.reach), v)
}

// verdict is written by the hook, on the goroutine of the handshake.
type verdict struct {
	report  *Report          // nil: not reached
	refusal error            // why the handshake must not succeed; nil: it may
	shown   *tls.Certificate // ours; nil: none was asked for

	// What the hooks need, until the handshake is over: crypto/tls keeps them for as long as the connection lives.
	ctx      context.Context
	settings *settings
}

// forget lets go of what only a handshake needs. A hook that ran afterwards would refuse.
func (v *verdict) forget() { v.ctx, v.settings = nil, nil }

func (v *verdict) clientCertificate() ClientCertificate {
	switch {
	case v.shown == nil:
		return NotRequested
	case len(v.shown.Certificate) == 0:
		return NoneShown
	}
	return OneShown
}

func (v *verdict) reach(cs tls.ConnectionState) error {
	ctx, s := v.ctx, v.settings
	if s == nil {
		return noVerdict()
	}
	v.report, v.refusal = decide(ctx, s, judge(ctx, s, evidence{chain: cs.PeerCertificates, staple: cs.OCSPResponse}))
	if v.refusal != nil {
		return v.refusal
	}
	if s.Sessions != nil {
		s.Sessions.judged(v.report, cs.OCSPResponse)
	}
	if s.requireALPN && cs.NegotiatedProtocol == "" {
		return &HandshakeError{Kind: ALPNMismatch, Err: errNoProtocol}
	}
	return nil
}

// decide gives whoever decides the last word about a chain with problems.
func decide(ctx context.Context, s *settings, r *Report) (*Report, error) {
	if r.Status == StatusTrusted {
		return r, nil
	}
	if r.failed != nil {
		return r, r.failed
	}
	if s.Decide == nil || !r.Overridable() {
		return r, &CertificateError{Report: r}
	}
	if err := s.Decide(ctx, r); err != nil {
		return r, &DecisionError{Report: r, Err: err}
	}
	return r.overridden(), nil
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

// handshake runs crypto/tls and believes it only together with a verdict.
func handshake(ctx context.Context, raw net.Conn, conf *tls.Config, v *verdict) (*Conn, error) {
	t := newTap(raw)
	conn := tls.Client(t, conf)

	// HandshakeContext would close raw when ctx ends, so the watch is ours.
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		// Who waits for the peer is woken at once; what the hook refuses has a moment to say so, by its alert.
		if raw.SetReadDeadline(time.Unix(1, 0)) != nil || raw.SetWriteDeadline(time.Now().Add(alertTime)) != nil {
			_ = raw.Close()
		}
	})
	err := conn.HandshakeContext(context.WithoutCancel(ctx))
	ended := !stop()
	if ended {
		<-woken
		_ = raw.SetDeadline(time.Time{})
	}
	t.handshaking = false
	v.forget()

	switch {
	case v.refusal != nil && !(ended && errors.Is(v.refusal, context.Cause(ctx))):
		return nil, v.refusal
	case v.refusal == nil && v.report != nil && v.report.Status != StatusTrusted:
		return nil, &CertificateError{Report: v.report}
	case ended:
		return nil, interrupted(ctx)
	case err != nil && identity.Failure(v.shown) != nil:
		return nil, identity.Failure(v.shown)
	case err != nil:
		err = mapHandshakeError(err, t, conf.Time())
		if a, ok := errors.AsType[*AlertError](err); ok {
			_ = a.about(v.clientCertificate())
		}
		return nil, err
	case v.report == nil:
		return nil, noVerdict()
	}
	return &Conn{tls: conn, tap: t, state: newState(conn.ConnectionState(), conf.ServerName, v.clientCertificate()), report: v.report}, nil
}

// alertTime is how long an alert may take to be written when the handshake is interrupted.
const alertTime = 250 * time.Millisecond

func interrupted(ctx context.Context) error {
	return fmt.Errorf("tlsengine: handshake interrupted: %w", context.Cause(ctx))
}
