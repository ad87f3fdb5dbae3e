package session

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"

	"securesocket/tlsengine"
	"securesocket/tlsengine/identity"
)

// handshake runs TLS and the judgement over the socket, under ctx, which clock
// ends. hello is what was received of the peer's. The verdict is stored when it
// returns.
func (c *connection) handshake(ctx context.Context, clock *handshakeClock, role Role, hello []byte) (*tlsengine.Conn, error) {
	c.mark(spanHandshake, true)
	defer c.mark(spanHandshake, false)
	cfg, err := c.tlsConfig(clock, role)
	if err != nil {
		return nil, err
	}
	var conn *tlsengine.Conn
	if role == RoleServer {
		conn, err = tlsengine.Server(ctx, c.raw, cfg, hello)
	} else {
		conn, err = tlsengine.Client(ctx, c.raw, cfg)
	}
	if cause := context.Cause(ctx); err != nil && cause != nil && errors.Is(err, cause) {
		err = c.blame(cause)
	}
	if he, ok := errors.AsType[*tlsengine.HandshakeError](err); ok && he.Kind == tlsengine.Internal {
		err = Internal(c.s.reg.cfg.Logger, "the handshake failed on this side", "error", err.Error())
	}
	if le, ok := errors.AsType[*LimitError](err); ok {
		err = le // without the report in which it was wrapped: there is no room for that
	}
	if full := c.judged(conn, err); full != nil {
		if conn != nil {
			_ = conn.Abort()
		}
		return nil, full
	}
	return conn, err
}

// blame names the caller when a clock ran out while it was his turn to sign.
func (c *connection) blame(cause error) error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if !c.unsigned {
		return cause
	}
	if te, ok := errors.AsType[*TimeoutError](cause); ok {
		return &SignatureTimeoutError{te.Limit}
	}
	if errors.Is(cause, errConnectTimeout) {
		return &SignatureTimeoutError{*c.settings.ConnectTimeout}
	}
	return cause
}

func (c *connection) tlsConfig(clock *handshakeClock, role Role) (*tlsengine.Config, error) {
	s, host, set := c.s, c.target.Host(), c.settings
	cfg := &tlsengine.Config{
		ServerName:   set.serverName(host),
		VerifyNames:  set.verifyNames(host),
		ALPN:         set.ALPN,
		RequireALPN:  *set.RequireALPN,
		MinVersion:   set.MinVersion,
		MaxVersion:   set.MaxVersion,
		CipherSuites: set.suiteIDs(),
		Groups:       set.groupIDs(),
		Pins:         set.Pins,
		Revocation:   set.Revocation,
		Checker:      s.reg.checker,
		Owner:        s.owner,
		Identities:   set.Identities,
		Sign:         func(ctx context.Context, r identity.SignRequest) ([]byte, error) { return c.sign(ctx, clock, r) },
		Turn:         func(ctx context.Context) (func(), error) { return s.reg.turns.take(ctx, s.owner) },
		Now:          s.reg.cfg.Now,
	}
	if set.Override == OverrideAsk {
		cfg.Decide = func(ctx context.Context, r *tlsengine.Report) error { return c.decide(ctx, clock, r) }
	}
	var err error
	if cfg.Trust, err = c.trust(set.TrustBase); err != nil {
		return nil, Internal(s.reg.cfg.Logger, "the trust anchors cannot be read", "error", err.Error())
	}
	if role == RoleServer {
		cfg.ServerName, cfg.VerifyNames, cfg.ClientAuth = "", set.VerifyNames, set.ClientAuth
	} else if *set.Resumption {
		cfg.Sessions = s.reg.tlsSessions.For(s.owner, c.resumptionKey(cfg))
	}
	return cfg, nil
}

// resumptionKey tells apart everything that a TLS session may not cross.
func (c *connection) resumptionKey(cfg *tlsengine.Config) [sha256.Size]byte {
	h := sha256.New()
	// JSON keeps apart what stands side by side; hashes and certificates are base64.
	add := func(parts ...any) { _ = json.NewEncoder(h).Encode(parts) }
	add(c.s.owner, c.target.Host(), c.target.Port, cfg.ServerName, cfg.VerifyNames, cfg.ALPN, cfg.MinVersion, cfg.MaxVersion,
		cfg.CipherSuites, cfg.Groups, cfg.Trust.SHA256, cfg.Pins, cfg.Revocation)
	for _, cert := range cfg.Trust.Intermediates {
		add("intermediate", cert.Raw)
	}
	for _, id := range cfg.Identities {
		spki := id.SPKISHA256()
		add("identity", id.Ref(), spki[:])
		for _, cert := range id.Chain() {
			add(cert.Raw)
		}
		if id.CallerHeld() {
			// Only who signed may resume: others may know the chain and not have the key.
			add("session", c.s.id)
		}
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// judged stores the verdict before any event tells of it. The error is judgedLocked's.
func (c *connection) judged(conn *tlsengine.Conn, err error) error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if conn != nil {
		return c.judgedLocked(conn.Report())
	} else if ce, ok := errors.AsType[*tlsengine.CertificateError](err); ok {
		return c.judgedLocked(ce.Report)
	}
	return nil
}

// judgedLocked stores a verdict. The error is a LimitError: there is no room for it,
// and the handshake ends.
func (c *connection) judgedLocked(r *tlsengine.Report) error {
	if err := c.s.keepReportLocked(r); err != nil {
		return err
	}
	c.timeline.set(spanValidation, r.Started, r.Took)
	c.timeline.set(spanRevocation, r.RevocationStarted, r.RevocationTook)
	return nil
}
