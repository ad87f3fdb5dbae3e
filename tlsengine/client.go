package tlsengine

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"
)

// Client runs a TLS client handshake over raw and judges the peer's chain inside it, before anything that the caller
// wrote is sent.
//
// On failure raw is left open: it has been given the alert that belongs to the failure and is good for nothing but Close.
// When ctx ends, raw is woken through its deadlines, which are cleared afterwards; only a raw connection that has none
// is closed. On success the Conn owns raw.
//
// Errors: *CertificateError with the report when the chain was refused, *AlertError, *HandshakeError, *TransportError,
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
	return handshake(ctx, raw, clientTLSConfig(s, func(cs tls.ConnectionState) error { return v.reach(s, cs) }), v)
}

// verdict is written by the hook, on the goroutine of the handshake.
type verdict struct {
	report *Report // nil: not reached
}

func (v *verdict) reach(s *settings, cs tls.ConnectionState) error {
	v.report = judge(s, cs.PeerCertificates)
	if v.report.Status != StatusTrusted {
		return &CertificateError{Report: v.report}
	}
	if s.requireALPN && cs.NegotiatedProtocol == "" {
		return &HandshakeError{Kind: ALPNMismatch, Err: errNoProtocol}
	}
	return nil
}

// clientTLSConfig is the one place that turns off the verification of crypto/tls, which would end the handshake before
// the chain could be reported on, and puts a hook in its place. Without a hook every chain is refused.
func clientTLSConfig(s *settings, hook func(tls.ConnectionState) error) *tls.Config {
	if hook == nil {
		hook = func(tls.ConnectionState) error { return noVerdict() }
	}
	return &tls.Config{
		ServerName:             s.serverName,
		NextProtos:             s.alpn,
		MinVersion:             s.min,
		MaxVersion:             s.max,
		CipherSuites:           s.cipherSuites,
		Time:                   s.now,
		Renegotiation:          tls.RenegotiateNever,
		SessionTicketsDisabled: true, // a resumed session would skip the judgement of the day it was made
		InsecureSkipVerify:     true,
		VerifyConnection:       hook,
	}
}

// handshake runs crypto/tls and believes it only together with a verdict.
func handshake(ctx context.Context, raw net.Conn, conf *tls.Config, v *verdict) (*Conn, error) {
	t := newTap(raw)
	conn := tls.Client(t, conf)

	// HandshakeContext would close raw when ctx ends, so the watch is ours.
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		if raw.SetDeadline(time.Unix(1, 0)) != nil {
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

	switch {
	case v.report != nil && v.report.Status != StatusTrusted:
		return nil, &CertificateError{Report: v.report}
	case ended:
		return nil, interrupted(ctx)
	case err != nil:
		return nil, mapHandshakeError(err, t, conf.Time())
	case v.report == nil:
		return nil, noVerdict()
	}
	return &Conn{tls: conn, tap: t, state: newState(conn.ConnectionState(), conf.ServerName), report: v.report}, nil
}

func interrupted(ctx context.Context) error {
	return fmt.Errorf("tlsengine: handshake interrupted: %w", context.Cause(ctx))
}
