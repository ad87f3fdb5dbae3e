package tlsengine

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"strconv"
	"time"

	"securesocket/tlsengine/identity"
	"securesocket/tlsengine/revocation"
)

// Config says how one handshake runs and what the peer must prove. [Client] and [Server] read it before they return and
// keep nothing of it but the certificates, which are never modified.
type Config struct {
	// ServerName is sent as SNI (RFC 6066, section 3), as an A-label without a trailing dot. Empty: none is sent. An IP
	// literal is never sent. It plays no part in the verdict. Only for Client.
	ServerName string
	// VerifyNames are DNS names, IP literals, or "uri:" followed by a URI; the leaf must carry at least one of them.
	// Empty is a ConfigError: a chain that is good for no name in particular proves nothing. Of a client no name need be
	// asked.
	VerifyNames []string
	// ALPN lists the application protocols to offer, or to choose from, preferred first (RFC 7301). Empty: the extension
	// is not sent. A client that offers some, and none of these, is always refused.
	ALPN []string
	// RequireALPN refuses a server that chooses none of ALPN, and a client that offers none at all. The zero value goes
	// on without one.
	RequireALPN bool
	// MinVersion and MaxVersion are crypto/tls numbers; 0 stands for TLS 1.2 and TLS 1.3. SSL is refused.
	MinVersion, MaxVersion uint16
	// CipherSuites are the suites of TLS 1.2 and below that may be negotiated; nil is Go's default. Suites of TLS 1.3 are
	// accepted and cannot be chosen among; when there are no others, TLS 1.2 and below are not offered. The order has no
	// meaning: crypto/tls has its own.
	CipherSuites []uint16
	// Trust holds the anchors. The zero value trusts nobody.
	Trust Trust
	// Now is the one clock of the judgement, and of crypto/tls. nil is time.Now.
	Now func() time.Time

	// Groups are the key exchange groups to offer (IANA's numbers); nil is Go's default. The order has no meaning.
	Groups []uint16
	// Pins are SHA-256 hashes of public keys (SubjectPublicKeyInfo). When there are any, a certificate of the verified
	// chain must have one of them.
	Pins [][sha256.Size]byte
	// PeerIsClient judges the chain of a TLS client: it must be good for clientAuth, and VerifyNames may be empty. Only
	// for Validate; Server does so anyway.
	PeerIsClient bool
	// ClientAuth says what is wanted of the client's certificate. Only for Server.
	ClientAuth ClientAuth
	// Revocation says what is asked about the chain; 0 is revocation.Off. Checker is who is asked; nil knows only staples
	// and the CRLs that are given. Owner is for whom: what was learnt for one owner another has to ask for himself.
	Revocation revocation.Mode
	Checker    *revocation.Checker
	Owner      string
	// Turn is asked for the right to use the CPU for judging, and gives it back by the function that it returns. Its error
	// ends the handshake. nil: there is no need to ask.
	Turn func(ctx context.Context) (done func(), err error)
	// Decide is asked about a chain with problems, while the handshake waits and before anything secret is sent. nil as
	// an answer accepts exactly this report; an error refuses, and ends the handshake as the Err of a DecisionError. It
	// returns when ctx ends. A nil Decide refuses every problem.
	Decide func(ctx context.Context, r *Report) error
	// Identities are what this side can show when it is asked for a certificate; the first that fits is shown. A server
	// is always asked, and needs one. Sign asks for signatures of those whose key is elsewhere.
	Identities []*identity.Identity
	Sign       identity.SignFunc
	// Sessions keeps TLS sessions for resumption; nil: none is resumed. Only for Client.
	Sessions *SessionsOf
}

// Trust is what a chain may be built from. The zero value holds nothing, so that every chain is refused.
type Trust struct {
	// Roots are the base anchors; nil is none, and never the system's. It is not modified, and cloned only when Anchors
	// has to be added.
	Roots *x509.CertPool
	// Anchors are trusted beside Roots. They need not be self-signed.
	Anchors []*x509.Certificate
	// Intermediates help to build a chain and are not trusted.
	Intermediates []*x509.Certificate
	// Name and SHA256 say in the report which anchors these are. They play no part in the verdict.
	Name   string
	SHA256 [sha256.Size]byte
}

// ConfigError reports a Config that cannot be used. Nothing has been sent.
type ConfigError struct {
	Field string // the Config field, such as "VerifyNames"
	Why   string // what is wrong with its value
}

func (e *ConfigError) Error() string { return "tlsengine: invalid " + e.Field + ": " + e.Why }

// Validate tells whether Client would refuse the configuration. The error is a *ConfigError.
func (c *Config) Validate() error {
	_, err := c.settings()
	return err
}

// settings is a Config that has been checked and has its defaults filled in.
type settings struct {
	serverName   string // A-label, or empty
	verifyNames  []verifyName
	alpn         []string
	requireALPN  bool
	min, max     uint16
	cipherSuites []uint16 // never a suite of TLS 1.3
	groups       []tls.CurveID
	server       bool       // our role
	clientAuth   ClientAuth // 0 in the client's role
	trust        Trust
	now          func() time.Time
	*Config      // what needs no preparation
}

func (c *Config) settings() (*settings, error) {
	if c == nil {
		return nil, &ConfigError{"Config", "is nil"}
	}
	s := &settings{Config: c, requireALPN: c.RequireALPN, trust: c.Trust, now: c.Now, min: c.MinVersion, max: c.MaxVersion}
	if s.now == nil {
		s.now = time.Now
	}
	var err error
	if s.serverName, err = sniName(c.ServerName); err != nil {
		return nil, err
	}
	if len(c.VerifyNames) == 0 && !c.PeerIsClient {
		return nil, &ConfigError{"VerifyNames", "at least one name is needed"}
	}
	for _, name := range c.VerifyNames {
		v, err := parseVerifyName(name)
		if err != nil {
			return nil, err
		}
		s.verifyNames = append(s.verifyNames, v)
	}
	if err := s.setALPN(c.ALPN); err != nil {
		return nil, err
	}
	if err := s.setVersions(); err != nil {
		return nil, err
	}
	if err := s.setSuites(c.CipherSuites); err != nil {
		return nil, err
	}
	if err := s.setGroups(c.Groups); err != nil {
		return nil, err
	}
	if slices.Contains(c.Trust.Anchors, nil) {
		return nil, &ConfigError{"Trust.Anchors", "holds a nil certificate"}
	}
	if slices.Contains(c.Trust.Intermediates, nil) {
		return nil, &ConfigError{"Trust.Intermediates", "holds a nil certificate"}
	}
	return s, nil
}

func (s *settings) setALPN(protocols []string) error {
	total := 0
	for _, p := range protocols {
		if len(p) == 0 || len(p) > 255 {
			return &ConfigError{"ALPN", "a protocol has " + strconv.Itoa(len(p)) + " bytes, want 1 to 255"}
		}
		total += 1 + len(p)
	}
	if total > 1<<16-1 {
		return &ConfigError{"ALPN", "the list is longer than 65535 bytes"}
	}
	if s.requireALPN && len(protocols) == 0 {
		return &ConfigError{"RequireALPN", "needs application protocols to choose from"}
	}
	s.alpn = slices.Clone(protocols)
	return nil
}

func (s *settings) setVersions() error {
	if s.min == 0 {
		s.min = tls.VersionTLS12
		if s.max != 0 && s.max < s.min {
			s.min = s.max // a maximum alone never asks for an impossible range
		}
	}
	if s.max == 0 {
		s.max = tls.VersionTLS13
	}
	// crypto/tls silently takes a MinVersion of SSL 3.0 for its own default.
	for _, f := range []struct {
		field   string
		version uint16
	}{{"MinVersion", s.min}, {"MaxVersion", s.max}} {
		if f.version < tls.VersionTLS10 || f.version > tls.VersionTLS13 {
			return &ConfigError{f.field, fmt.Sprintf("0x%04x is not a version of TLS 1.0 to 1.3", f.version)}
		}
	}
	if s.min > s.max {
		return &ConfigError{"MinVersion", "is above MaxVersion"}
	}
	return nil
}

func (s *settings) setSuites(ids []uint16) error {
	if ids == nil {
		// Go's secure ones, by name: what a nil list means, GODEBUG decides.
		for _, suite := range tls.CipherSuites() {
			if slices.ContainsFunc(suite.SupportedVersions, func(v uint16) bool { return v < tls.VersionTLS13 }) {
				s.cipherSuites = append(s.cipherSuites, suite.ID)
			}
		}
		return nil
	}
	if len(ids) == 0 {
		return &ConfigError{"CipherSuites", "is empty: no suite could be negotiated"}
	}
	for _, id := range ids {
		suite, ok := SuiteByID(id)
		if !ok {
			return &ConfigError{"CipherSuites", fmt.Sprintf("0x%04x is not implemented", id)}
		}
		if !suite.TLS13 {
			s.cipherSuites = append(s.cipherSuites, id)
		}
	}
	if len(s.cipherSuites) > 0 {
		return nil
	}
	// Left as it is, an empty list would mean Go's default below TLS 1.3: suites that nobody asked for.
	if s.max < tls.VersionTLS13 {
		return &ConfigError{"CipherSuites", "has only suites of TLS 1.3, and MaxVersion is below it"}
	}
	s.min = tls.VersionTLS13
	return nil
}
