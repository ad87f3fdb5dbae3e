package server

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/session"
	"securesocket/tlsengine"
	"securesocket/tlsengine/identity"
	"securesocket/tlsengine/revocation"
)

// versionSSL2 has no constant in crypto/tls.
const versionSSL2 = 0x0002

var versionNumbers = map[pb.ProtocolVersion]uint16{
	pb.ProtocolVersion_PROTOCOL_VERSION_SSL2:   versionSSL2,
	pb.ProtocolVersion_PROTOCOL_VERSION_SSL3:   0x0300,
	pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_0: tls.VersionTLS10,
	pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_1: tls.VersionTLS11,
	pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_2: tls.VersionTLS12,
	pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_3: tls.VersionTLS13,
}

func toVersion(v uint16) pb.ProtocolVersion {
	for name, number := range versionNumbers {
		if number == v {
			return name
		}
	}
	return pb.ProtocolVersion_PROTOCOL_VERSION_UNSPECIFIED
}

// fromSettings converts what a caller set; what is known but not supported is
// an UnsupportedError. have are the identities that are there already.
func (s *service) fromSettings(ctx context.Context, m *pb.SessionSettings, have []*identity.Identity) (session.Settings, error) {
	return fromSettings(m, identities{
		operators: s.registry.Config().Identities,
		have:      have,
		turn:      func() (func(), error) { return s.registry.Turn(ctx, principalOf(ctx)) },
	})
}

func fromSettings(m *pb.SessionSettings, ids identities) (session.Settings, error) {
	if err := checkSupported(m); err != nil {
		return session.Settings{}, err
	}
	t, c := m.GetTls(), m.GetTcp()
	pins, err := pinsOf(t.GetTrust())
	if err != nil {
		return session.Settings{}, inSettings("tls.", err)
	}
	own, err := ids.from(t.GetIdentities())
	if err != nil {
		return session.Settings{}, err
	}
	s := session.Settings{
		VerifyNames:  t.GetVerifyNames(),
		ALPN:         t.GetAlpnProtocols(),
		MinVersion:   versionNumbers[t.GetMinVersion()],
		MaxVersion:   versionNumbers[t.GetMaxVersion()],
		CipherSuites: t.GetCipherSuites(),
		Groups:       t.GetGroups(),
		TrustBase:    session.TrustBase(t.GetTrust().GetBase()),
		Pins:         pins,
		Revocation:   revocation.Mode(t.GetRevocation()), //nolint:gosec // 0 to 3
		Override:     session.Override(t.GetOverride()),
		Identities:   own,
		ClientAuth:   tlsengine.ClientAuth(t.GetClientAuth()),
		Family:       session.Family(c.GetAddressFamily()),
		Label:        m.GetLabel(),
		ReceiveBytes: int(m.GetReceiveBufferBytes()),
		SendBytes:    int(m.GetSendBufferBytes()),
	}
	if s.Proxy, err = proxyOf(m.GetProxy()); err != nil {
		return session.Settings{}, err
	}
	if m != nil {
		s.Resumable = m.Resumable
	}
	if t != nil {
		s.ServerName, s.RequireALPN, s.Resumption = t.ServerName, t.RequireAlpn, t.Resumption
	}
	if c != nil {
		s.NoDelay = c.NoDelay
	}
	for _, d := range []struct {
		field string
		from  *durationpb.Duration
		to    **time.Duration
	}{
		{"tls.handshake_timeout", t.GetHandshakeTimeout(), &s.HandshakeTimeout},
		{"tls.decision_timeout", t.GetDecisionTimeout(), &s.DecisionTimeout},
		{"tcp.keepalive", c.GetKeepalive(), &s.KeepAlive},
		{"tcp.user_timeout", c.GetUserTimeout(), &s.UserTimeout},
		{"tcp.tcp_timeout", c.GetTcpTimeout(), &s.TCPTimeout},
		{"connect_timeout", m.GetConnectTimeout(), &s.ConnectTimeout},
		{"idle_timeout", m.GetIdleTimeout(), &s.IdleTimeout},
		{"detach_grace", m.GetDetachGrace(), &s.DetachGrace},
	} {
		if d.from == nil {
			continue
		}
		if err := d.from.CheckValid(); err != nil {
			return session.Settings{}, &session.FieldError{Field: d.field, Why: "is not a valid duration"}
		}
		v := d.from.AsDuration()
		*d.to = &v
	}
	return s, nil
}

// inSettings gives a complaint about settings its path from the request.
func inSettings(prefix string, err error) error {
	switch e := err.(type) { //nolint:errorlint // as the session made it
	case *session.FieldError:
		return &session.FieldError{Field: prefix + e.Field, Why: e.Why}
	case *session.UnsupportedError:
		return &session.UnsupportedError{Field: prefix + e.Field}
	case *session.ProtocolError:
		return &session.ProtocolError{Field: prefix + e.Field, Version: e.Version, Legacy: e.Legacy}
	case *session.CipherError:
		return &session.CipherError{Field: prefix + e.Field, Suite: e.Suite, Why: e.Why}
	case *identityError:
		return &identityError{prefix + e.path, e.err}
	}
	return err
}

// checkSupported refuses the settings that are known and not supported.
func checkSupported(m *pb.SessionSettings) error {
	if m.GetTcp().GetSourceAddress() != "" {
		return &session.UnsupportedError{Field: "tcp.source_address"}
	}
	return nil
}

// toSettings converts back; absent stays absent.
func toSettings(s session.Settings) *pb.SessionSettings {
	t := &pb.TlsSettings{
		ServerName:       s.ServerName,
		VerifyNames:      s.VerifyNames,
		AlpnProtocols:    s.ALPN,
		RequireAlpn:      s.RequireALPN,
		MinVersion:       toVersion(s.MinVersion),
		MaxVersion:       toVersion(s.MaxVersion),
		CipherSuites:     s.CipherSuites,
		Groups:           s.Groups,
		Identities:       toIdentities(s.Identities),
		Revocation:       pb.RevocationMode(s.Revocation),
		Override:         pb.OverrideMode(s.Override),
		DecisionTimeout:  toDuration(s.DecisionTimeout),
		Resumption:       s.Resumption,
		ClientAuth:       pb.ClientAuth(s.ClientAuth),
		HandshakeTimeout: toDuration(s.HandshakeTimeout),
	}
	if s.TrustBase != 0 || len(s.Pins) > 0 {
		t.Trust = &pb.TrustSettings{Base: pb.TrustSettings_Base(s.TrustBase)}
		for _, pin := range s.Pins {
			t.Trust.SpkiSha256Pins = append(t.Trust.SpkiSha256Pins, pin[:])
		}
	}
	return &pb.SessionSettings{
		Tls: t,
		Tcp: &pb.TcpSettings{
			NoDelay:       s.NoDelay,
			Keepalive:     toDuration(s.KeepAlive),
			UserTimeout:   toDuration(s.UserTimeout),
			TcpTimeout:    toDuration(s.TCPTimeout),
			AddressFamily: pb.AddressFamily(s.Family),
		},
		ConnectTimeout:     toDuration(s.ConnectTimeout),
		IdleTimeout:        toDuration(s.IdleTimeout),
		DetachGrace:        toDuration(s.DetachGrace),
		ReceiveBufferBytes: toInt32(s.ReceiveBytes),
		SendBufferBytes:    toInt32(s.SendBytes),
		Label:              s.Label,
		Resumable:          s.Resumable,
		Proxy:              toProxy(s.Proxy),
	}
}

// pinsOf reads the hashes of public keys.
func pinsOf(m *pb.TrustSettings) ([][sha256.Size]byte, error) {
	var pins [][sha256.Size]byte
	for i, pin := range m.GetSpkiSha256Pins() {
		if len(pin) != sha256.Size {
			return nil, &session.FieldError{Field: fmt.Sprintf("trust.spki_sha256_pins[%d]", i), Why: fmt.Sprintf("has %d bytes; a SHA-256 hash has 32", len(pin))}
		}
		pins = append(pins, [sha256.Size]byte(pin))
	}
	return pins, nil
}

func toDuration(d *time.Duration) *durationpb.Duration {
	if d == nil {
		return nil
	}
	return durationpb.New(*d)
}

func toInt32(n int) int32 { return int32(min(n, math.MaxInt32)) } //nolint:gosec // bounded
