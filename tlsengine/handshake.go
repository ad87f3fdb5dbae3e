package tlsengine

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"securesocket/tlsengine/identity"
)

// verdict is written by the hooks, on the goroutine of the handshake.
type verdict struct {
	report  *Report          // nil: not reached
	stands  bool             // the hook has let the peer pass
	refusal error            // why the handshake must not succeed; nil: it may
	shown   *tls.Certificate // ours; nil: none was asked for

	// What the hooks need, until the handshake is over: crypto/tls keeps them for as long as the connection lives.
	ctx      context.Context
	settings *settings
}

// forget lets go of what only a handshake needs. A hook that ran afterwards would refuse.
func (v *verdict) forget() { v.ctx, v.settings = nil, nil }

// reach is the hook of both roles.
func (v *verdict) reach(cs tls.ConnectionState) error {
	ctx, s := v.ctx, v.settings
	if s == nil {
		return noVerdict()
	}
	if s.server && len(cs.PeerCertificates) == 0 {
		v.report, v.refusal = s.withoutCertificate()
	} else {
		v.report, v.refusal = decide(ctx, s, judge(ctx, s, evidence{
			chain: cs.PeerCertificates, staple: cs.OCSPResponse, scts: cs.SignedCertificateTimestamps,
		}))
	}
	if v.refusal != nil {
		return v.refusal
	}
	v.stands = true
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
	if s.clientAuth.takesAny() {
		return r, nil
	}
	if s.Decide == nil || !r.Overridable() {
		return r, &CertificateError{Report: r}
	}
	if err := s.Decide(ctx, r); err != nil {
		return r, &DecisionError{Report: r, Err: err}
	}
	return r.overridden(), nil
}

// handshake runs crypto/tls and believes it only together with a verdict.
func handshake(ctx context.Context, s *settings, v *verdict, t *tap, conn *tls.Conn) error {
	// HandshakeContext would close raw when ctx ends, so the watch is ours.
	raw := t.Conn
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
	t.meter.secure()
	v.forget()

	switch {
	case v.refusal != nil && !(ended && errors.Is(v.refusal, context.Cause(ctx))):
		return v.refusal
	case v.refusal == nil && v.report != nil && !v.stands:
		return &CertificateError{Report: v.report}
	case ended:
		return interrupted(ctx)
	case err != nil && identity.Failure(v.shown) != nil:
		return identity.Failure(v.shown)
	case err != nil:
		return mapHandshakeError(err, t, s)
	case v.report == nil:
		return noVerdict()
	}
	return nil
}

// alertTime is how long an alert may take to be written when the handshake is interrupted.
const alertTime = 250 * time.Millisecond

func interrupted(ctx context.Context) error {
	return fmt.Errorf("tlsengine: handshake interrupted: %w", context.Cause(ctx))
}
