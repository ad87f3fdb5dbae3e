package session

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"securesocket/tlsengine"
	"securesocket/tlsengine/revocation"
	"securesocket/tlsengine/truststore"
)

// Probed is what a Probe found.
type Probed struct {
	Snapshot Snapshot
	Report   *tlsengine.Report // nil: no chain was seen
	Err      error             // why it failed; nil: the peer is as it should be
	Phase    Phase             // in which it failed
}

// Probe connects in a session of its own, which it leaves no trace of.
// The error is one of Create, of AddCertificate or ErrCancelled; what the network
// and the peer do wrong is in Probed.
func (r *Registry) Probe(ctx context.Context, owner string, args ConnectArgs, settings Settings, certs []truststore.Entry) (Probed, error) {
	settings.Override = OverrideStrict
	settings.Resumption = new(bool) // a resumed session shows the chain of another day, and leaves a ticket
	for _, id := range settings.Identities {
		if id.CallerHeld() {
			return Probed{}, &FieldError{"tls.identities", "has a caller_signer, and there is no stream to sign over"}
		}
	}
	s, _, _, err := r.Create(owner, settings, true, Request{})
	if err != nil {
		return Probed{}, err
	}
	defer s.Delete()
	for _, c := range certs {
		if err := s.AddCertificate(c.Cert, c.Trusted); err != nil {
			return Probed{}, err
		}
	}
	attempt, err := s.Begin(args, Request{}, false)
	if err != nil {
		return Probed{}, err
	}
	err = attempt.Wait(ctx)
	if err != nil && ctx.Err() != nil {
		return Probed{}, ErrCancelled
	}
	s.mu.Lock()
	p := Probed{Snapshot: s.snapshotLocked(), Report: s.report, Err: err, Phase: s.failedPhaseLocked()}
	if err == nil {
		p.Snapshot.TLS = s.agreedLocked() // the peer may have gone by now
	}
	s.mu.Unlock()
	if err == nil {
		_ = s.Close(ctx, CloseGraceful, nil, 0)
	}
	return p, nil
}

// agreedLocked is what the handshake agreed on, however the connection has fared.
func (s *Session) agreedLocked() *tlsengine.State {
	for _, e := range s.core.Kept() {
		if k, ok := e.Value.(SecureConnected); ok {
			return &k.TLS
		}
	}
	return nil
}

// failedPhaseLocked is the phase of the failure that was emitted.
func (s *Session) failedPhaseLocked() Phase {
	for _, e := range s.core.Kept() {
		switch k := e.Value.(type) {
		case IOError:
			return k.Phase
		case SecurityError:
			return PhasePolicy
		}
	}
	return 0
}

// Validation is a chain that a caller holds, and what it is to be judged by.
type Validation struct {
	Chain        [][]byte // DER, leaf first
	Names        []string
	Certificates []truststore.Entry // beside the base
	Base         TrustBase
	Pins         [][sha256.Size]byte
	At           *time.Time // nil: now
	Revocation   revocation.Mode
	Client       bool // the chain is a TLS client's
	Staple       []byte
	CRLs         [][]byte
}

// Validate judges a chain without any connection; nothing is fetched. The error
// is a FieldError, a LimitError, of the store, or ctx's cause.
func (r *Registry) Validate(ctx context.Context, owner string, v Validation) (*tlsengine.Report, error) {
	set := Settings{TrustBase: v.Base, Revocation: v.Revocation, VerifyNames: v.Names, Pins: v.Pins}
	if _, err := set.check(&r.cfg); err != nil {
		return nil, err
	}
	levels, err := r.trust.below(v.Base, owner)
	if err != nil {
		return nil, r.storeError(err)
	}
	own := truststore.Level{Replaces: v.Base == TrustNone && len(v.Certificates) == 0}
	own, _ = own.Add(v.Certificates...)
	if own.Own.Len() > maxCertificates {
		return nil, &LimitError{What: "certificates beside a chain", Limit: maxCertificates}
	}
	cfg := &tlsengine.Config{
		VerifyNames:  v.Names,
		Pins:         v.Pins,
		PeerIsClient: v.Client,
		Revocation:   set.Effective().Revocation,
		Trust:        trustOf(follow(levels, scoped{own, ScopeSession})),
		Turn:         func(ctx context.Context) (func(), error) { return r.turns.take(ctx, owner) },
		Now:          r.cfg.Now,
	}
	if v.At != nil {
		cfg.Now = func() time.Time { return *v.At }
	}
	report, err := tlsengine.Validate(ctx, cfg, tlsengine.Chain{Certificates: v.Chain, Staple: v.Staple, CRLs: v.CRLs})
	if ce, ok := errors.AsType[*tlsengine.ConfigError](err); ok {
		return nil, &FieldError{Field: ce.Field, Why: ce.Why}
	}
	return report, err
}
