package session

import (
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"securesocket/session/resume"
	"securesocket/tlsengine"
	"securesocket/tlsengine/identity"
	"securesocket/tlsengine/revocation"
)

// TrustBase is what a session's own anchors are added to. The numbers are the
// wire's.
type TrustBase int32

// The bases; 0 is TrustDefaults.
const (
	TrustDefaults TrustBase = 1
	TrustSystem   TrustBase = 2
	TrustNone     TrustBase = 3
)

// Family restricts the addresses that are dialled; 0 is both. The numbers are
// the wire's.
type Family int32

// The families.
const (
	FamilyIPv4 Family = 1
	FamilyIPv6 Family = 2
)

// Override says what a problem of the peer's chain leads to. The numbers are the
// wire's.
type Override int32

// The overrides; 0 is OverrideStrict.
const (
	OverrideStrict Override = 1
	OverrideAsk    Override = 2
)

// Settings is what a caller can set. A nil pointer and a zero value mean the
// default. A Settings is copied by value; nothing it points to is changed.
type Settings struct {
	ServerName       *string  // SNI; nil: the host connected to; "": none
	VerifyNames      []string // nil: ServerName if set, else the host
	ALPN             []string
	RequireALPN      *bool // default false
	MinVersion       uint16
	MaxVersion       uint16   // crypto/tls numbers
	CipherSuites     []string // IANA names
	Groups           []string // IANA names
	TrustBase        TrustBase
	Pins             [][sha256.Size]byte // of public keys
	Revocation       revocation.Mode     // default SOFT
	Override         Override            // default STRICT
	DecisionTimeout  *time.Duration      // default 10 s
	HandshakeTimeout *time.Duration      // default 10 s
	Resumption       *bool               // default true
	Identities       []*identity.Identity
	ClientAuth       tlsengine.ClientAuth // in the server's role; default NONE

	NoDelay     *bool          // default true
	KeepAlive   *time.Duration // default 30 s; 0: off
	UserTimeout *time.Duration // default 30 s; 0: the system's
	TCPTimeout  *time.Duration // default 10 s
	Family      Family

	ConnectTimeout *time.Duration // default 20 s, at least 250 ms
	IdleTimeout    *time.Duration // default 15 min; 0: never
	Resumable      *bool          // default false
	DetachGrace    *time.Duration // default Config.DetachGrace
	ReceiveBytes   int            // 0: Config.BufferBytes; 1 MiB where Resumable
	SendBytes      int            // likewise
	Label          string
	Proxy          *Proxy // nil: none
}

// withoutTLS leaves out what a StartTLS takes from the settings.
func (s Settings) withoutTLS() Settings {
	return Settings{
		NoDelay: s.NoDelay, KeepAlive: s.KeepAlive, UserTimeout: s.UserTimeout, TCPTimeout: s.TCPTimeout, Family: s.Family,
		ConnectTimeout: s.ConnectTimeout, IdleTimeout: s.IdleTimeout, Resumable: s.Resumable, DetachGrace: s.DetachGrace,
		ReceiveBytes: s.ReceiveBytes, SendBytes: s.SendBytes, Label: s.Label, Proxy: s.Proxy,
	}
}

// The defaults of durations, and the bounds of what a caller may set.
const (
	defaultConnectTimeout   = 20 * time.Second
	minConnectTimeout       = 250 * time.Millisecond
	defaultHandshakeTimeout = 10 * time.Second
	defaultDecisionTimeout  = 10 * time.Second
	defaultTCPTimeout       = 10 * time.Second
	defaultKeepAlive        = 30 * time.Second
	defaultUserTimeout      = 30 * time.Second
	defaultIdleTimeout      = 15 * time.Minute

	maxDuration   = 24 * time.Hour
	maxNames      = 16
	maxLabelBytes = 128
	maxSuites     = 64
	maxPins       = 32
	maxIdentities = 8
	maxNameBytes  = 1024                // of a name to verify: a URI may be long
	maxKeepAlive  = 32767 * time.Second // Linux takes no more

	minDetachGrace = time.Second
	// MaxDetachGrace is the longest DetachGrace.
	MaxDetachGrace = resume.MaxGrace

	minBufferBytes       = recordSize
	resumableBufferBytes = 1 << 20
	// MaxBufferBytes is the most of ReceiveBytes and of SendBytes.
	MaxBufferBytes = 4 << 20
)

// effective returns s with every default filled in that does not depend on the
// host.
func (c *Config) effective(s Settings) Settings {
	s = s.Effective()
	s.DetachGrace = orDefault(s.DetachGrace, &c.DetachGrace)
	buffer := c.BufferBytes
	if *s.Resumable {
		buffer = max(buffer, resumableBufferBytes)
	}
	for _, p := range []*int{&s.ReceiveBytes, &s.SendBytes} {
		if *p == 0 {
			*p = buffer
		}
	}
	return s
}

// Effective returns s with every default filled in that depends neither on the
// host nor on the service.
func (s Settings) Effective() Settings {
	s.RequireALPN = orDefault(s.RequireALPN, usual.RequireALPN)
	s.NoDelay = orDefault(s.NoDelay, usual.NoDelay)
	if s.MinVersion == 0 {
		s.MinVersion = min(tls.VersionTLS12, orVersion(s.MaxVersion))
	}
	s.MaxVersion = orVersion(s.MaxVersion)
	if s.TrustBase == 0 {
		s.TrustBase = TrustDefaults
	}
	if s.Revocation == 0 {
		s.Revocation = revocation.Soft
	}
	if s.Override == 0 {
		s.Override = OverrideStrict
	}
	if s.ClientAuth == 0 {
		s.ClientAuth = tlsengine.ClientAuthNone
	}
	s.Resumption = orDefault(s.Resumption, usual.Resumption)
	s.DecisionTimeout = orDefault(s.DecisionTimeout, usual.DecisionTimeout)
	s.HandshakeTimeout = orDefault(s.HandshakeTimeout, usual.HandshakeTimeout)
	s.KeepAlive = orDefault(s.KeepAlive, usual.KeepAlive)
	s.UserTimeout = orDefault(s.UserTimeout, usual.UserTimeout)
	s.TCPTimeout = orDefault(s.TCPTimeout, usual.TCPTimeout)
	s.IdleTimeout = orDefault(s.IdleTimeout, usual.IdleTimeout)
	s.Resumable = orDefault(s.Resumable, usual.Resumable)
	s.ConnectTimeout = orDefault(s.ConnectTimeout, usual.ConnectTimeout)
	if *s.ConnectTimeout < minConnectTimeout {
		s.ConnectTimeout = new(minConnectTimeout)
	}
	return s
}

// usual are the defaults that everybody's settings point to.
var usual = Settings{
	RequireALPN:      new(false),
	NoDelay:          new(true),
	Resumption:       new(true),
	DecisionTimeout:  new(defaultDecisionTimeout),
	HandshakeTimeout: new(defaultHandshakeTimeout),
	KeepAlive:        new(defaultKeepAlive),
	UserTimeout:      new(defaultUserTimeout),
	TCPTimeout:       new(defaultTCPTimeout),
	IdleTimeout:      new(defaultIdleTimeout),
	ConnectTimeout:   new(defaultConnectTimeout),
	Resumable:        new(false),
}

func orDefault[T any](p, def *T) *T {
	if p == nil {
		return def
	}
	return p
}

func orVersion(v uint16) uint16 {
	if v == 0 {
		return tls.VersionTLS13
	}
	return v
}

// Over fills in what s leaves absent from what defaults has; nil has nothing.
func (s Settings) Over(defaults *Settings) Settings {
	if defaults == nil {
		return s
	}
	return s.filled(defaults)
}

func (s Settings) filled(defaults *Settings) Settings {
	out, from := reflect.ValueOf(&s).Elem(), reflect.ValueOf(defaults).Elem()
	for i := range out.NumField() {
		if out.Field(i).IsZero() {
			out.Field(i).Set(from.Field(i))
		}
	}
	return s
}

// check refuses what cannot work and returns warnings about what will not have
// the effect that it looks like.
func (s Settings) check(cfg *Config) (warnings []string, err error) {
	for _, d := range []struct {
		field string
		value *time.Duration
	}{
		{"connect_timeout", s.ConnectTimeout},
		{"idle_timeout", s.IdleTimeout},
		{"tls.handshake_timeout", s.HandshakeTimeout},
		{"tls.decision_timeout", s.DecisionTimeout},
		{"tcp.user_timeout", s.UserTimeout},
		{"tcp.tcp_timeout", s.TCPTimeout},
	} {
		if d.value != nil && (*d.value < 0 || *d.value > maxDuration) {
			return nil, &FieldError{d.field, "has to be between 0 and 24 hours"}
		}
	}
	if s.KeepAlive != nil && (*s.KeepAlive < 0 || *s.KeepAlive > maxKeepAlive) {
		return nil, &FieldError{"tcp.keepalive", "has to be between 0 and 32767 seconds"}
	}
	if s.DetachGrace != nil && (*s.DetachGrace < minDetachGrace || *s.DetachGrace > MaxDetachGrace) {
		return nil, &FieldError{"detach_grace", "has to be between 1 second and 10 minutes"}
	}
	for _, b := range []struct {
		field string
		value int
	}{{"receive_buffer_bytes", s.ReceiveBytes}, {"send_buffer_bytes", s.SendBytes}} {
		if b.value != 0 && (b.value < minBufferBytes || b.value > MaxBufferBytes) {
			return nil, &FieldError{b.field, "has to be between 16 KiB and 4 MiB"}
		}
	}
	if len(s.Label) > maxLabelBytes {
		return nil, &FieldError{"label", fmt.Sprintf("is longer than %d bytes", maxLabelBytes)}
	}
	if err := s.Proxy.check(); err != nil {
		return nil, err
	}
	if err := s.checkTLS(); err != nil {
		return nil, err
	}
	if err := s.checkVersions(cfg.LegacyTLS); err != nil {
		return nil, err
	}
	if s.Override == OverrideAsk && cfg.ForbidOverride {
		return nil, &NotAllowedError{What: "tls.override ASK", Why: "the operator forbids it"}
	}
	return s.checkSuites(cfg.LegacyTLS)
}

// checkTLS asks the engine about names and application protocols.
func (s Settings) checkTLS() error {
	if len(s.VerifyNames) > maxNames {
		return &FieldError{"tls.verify_names", fmt.Sprintf("has more than %d names", maxNames)}
	}
	for _, n := range s.VerifyNames {
		if len(n) > maxNameBytes {
			return &FieldError{"tls.verify_names", fmt.Sprintf("has a name of more than %d bytes", maxNameBytes)}
		}
	}
	if len(s.ALPN) > maxNames {
		return &FieldError{"tls.alpn_protocols", fmt.Sprintf("has more than %d protocols", maxNames)}
	}
	if len(s.Pins) > maxPins {
		return &FieldError{"tls.trust.spki_sha256_pins", fmt.Sprintf("has more than %d pins", maxPins)}
	}
	if len(s.Identities) > maxIdentities {
		return &FieldError{"tls.identities", fmt.Sprintf("has more than %d identities", maxIdentities)}
	}
	if len(s.Groups) > maxNames {
		return &FieldError{"tls.groups", fmt.Sprintf("has more than %d groups", maxNames)}
	}
	for _, name := range s.Groups {
		if _, ok := tlsengine.GroupByName(name); !ok {
			return &FieldError{"tls.groups", fmt.Sprintf("%.64q is not known by that IANA name; GetCapabilities lists the names", name)}
		}
	}
	cfg := tlsengine.Config{VerifyNames: s.verifyNames(anyHost), ALPN: s.ALPN, RequireALPN: s.RequireALPN != nil && *s.RequireALPN,
		Groups: s.groupIDs(), MaxVersion: s.engineMax()}
	if s.ServerName != nil {
		if _, err := netip.ParseAddr(*s.ServerName); err == nil {
			return &FieldError{"tls.server_name", "is an IP address, which TLS cannot send; \"\" sends none"}
		}
		cfg.ServerName = *s.ServerName
	}
	err := cfg.Validate()
	if ce, ok := errors.AsType[*tlsengine.ConfigError](err); ok {
		return &FieldError{engineFields[ce.Field], ce.Why}
	}
	return err
}

// anyHost stands for the host while none is known.
const anyHost = "host.invalid"

// engineFields are our names for what the engine complains about.
var engineFields = map[string]string{
	"ServerName":  "tls.server_name",
	"VerifyNames": "tls.verify_names",
	"ALPN":        "tls.alpn_protocols",
	"RequireALPN": "tls.require_alpn",
	"Groups":      "tls.groups",
}

// engineMax is the maximum for the engine's own check; what it never speaks is
// complained about elsewhere.
func (s Settings) engineMax() uint16 {
	if s.MaxVersion < tls.VersionTLS10 {
		return 0
	}
	return s.MaxVersion
}

func (s Settings) checkVersions(legacy bool) error {
	for _, v := range []struct {
		field   string
		version uint16
	}{{"tls.min_version", s.MinVersion}, {"tls.max_version", s.MaxVersion}} {
		switch {
		case v.version == 0:
		case v.version < tls.VersionTLS10:
			return &ProtocolError{Field: v.field, Version: tls.VersionName(v.version)}
		case v.version < tls.VersionTLS12 && !legacy:
			return &ProtocolError{Field: v.field, Version: tls.VersionName(v.version), Legacy: true}
		}
	}
	if e := s.Effective(); e.MinVersion > e.MaxVersion {
		return &FieldError{"tls.min_version", "is above tls.max_version"}
	}
	return nil
}

func (s Settings) checkSuites(legacy bool) (warnings []string, err error) {
	if len(s.CipherSuites) == 0 {
		return nil, nil
	}
	if len(s.CipherSuites) > maxSuites {
		return nil, &CipherError{Field: "tls.cipher_suites", Why: fmt.Sprintf("has more than %d suites", maxSuites)}
	}
	chosen := 0
	for _, name := range s.CipherSuites {
		suite, ok := tlsengine.SuiteByName(name)
		switch {
		case !ok:
			return nil, &CipherError{Field: "tls.cipher_suites", Suite: name, Why: "is not known by that IANA name; GetCapabilities lists the names"}
		case suite.Insecure && !legacy:
			return nil, &CipherError{Field: "tls.cipher_suites", Suite: name, Why: "is insecure; the operator can allow it with --legacy-tls"}
		case suite.TLS13:
		default:
			chosen++
		}
	}
	e := s.Effective()
	if chosen == 0 && e.MaxVersion < tls.VersionTLS13 {
		return nil, &CipherError{Field: "tls.cipher_suites", Why: "has no suite for the protocol versions that are allowed"}
	}
	if e.MaxVersion == tls.VersionTLS13 {
		warnings = append(warnings, "tls.cipher_suites: the suites of TLS 1.3 cannot be chosen, all of them are offered")
	}
	if chosen > 1 {
		warnings = append(warnings, "tls.cipher_suites: the order cannot be chosen, it is the service's")
	}
	return warnings, nil
}

// suiteIDs are the numbers of the suites, nil for the default. The names have
// been checked.
func (s Settings) suiteIDs() []uint16 {
	if len(s.CipherSuites) == 0 {
		return nil
	}
	ids := make([]uint16, 0, len(s.CipherSuites))
	for _, name := range s.CipherSuites {
		if suite, ok := tlsengine.SuiteByName(name); ok {
			ids = append(ids, suite.ID)
		}
	}
	return ids
}

// groupIDs are the numbers of the groups, nil for the default.
func (s Settings) groupIDs() []uint16 {
	var ids []uint16
	for _, name := range s.Groups {
		if g, ok := tlsengine.GroupByName(name); ok {
			ids = append(ids, g.ID)
		}
	}
	return ids
}

// serverName is the name to send and verifyNames are the names to find for a
// connection to host.
func (s Settings) serverName(host string) string {
	if s.ServerName == nil {
		return host
	}
	return *s.ServerName
}

func (s Settings) verifyNames(host string) []string {
	switch {
	case len(s.VerifyNames) > 0:
		return slices.Clone(s.VerifyNames)
	case s.ServerName != nil && *s.ServerName != "":
		return []string{*s.ServerName}
	}
	return []string{host}
}

// equalSettings compares by value, through the pointers.
func equalSettings(a, b Settings) bool {
	if !a.Proxy.equal(b.Proxy) {
		return false
	}
	a.Proxy, b.Proxy = nil, nil // reflection does not look into a password
	return reflect.DeepEqual(a, b)
}
