package server

import (
	"crypto/tls"
	"math"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/session"
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
// an UnsupportedError.
func fromSettings(m *pb.SessionSettings) (session.Settings, error) {
	if err := checkSupported(m); err != nil {
		return session.Settings{}, err
	}
	t, c := m.GetTls(), m.GetTcp()
	s := session.Settings{
		VerifyNames:  t.GetVerifyNames(),
		ALPN:         t.GetAlpnProtocols(),
		MinVersion:   versionNumbers[t.GetMinVersion()],
		MaxVersion:   versionNumbers[t.GetMaxVersion()],
		CipherSuites: t.GetCipherSuites(),
		TrustBase:    session.TrustBase(t.GetTrust().GetBase()),
		Family:       session.Family(c.GetAddressFamily()),
		Label:        m.GetLabel(),
	}
	if t != nil {
		s.ServerName, s.RequireALPN = t.ServerName, t.RequireAlpn
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
		{"tcp.keepalive", c.GetKeepalive(), &s.KeepAlive},
		{"tcp.user_timeout", c.GetUserTimeout(), &s.UserTimeout},
		{"tcp.tcp_timeout", c.GetTcpTimeout(), &s.TCPTimeout},
		{"connect_timeout", m.GetConnectTimeout(), &s.ConnectTimeout},
		{"idle_timeout", m.GetIdleTimeout(), &s.IdleTimeout},
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
	}
	return err
}

// checkSupported refuses the settings that are known and not supported.
func checkSupported(m *pb.SessionSettings) error {
	t, c := m.GetTls(), m.GetTcp()
	for _, f := range []struct {
		field string
		set   bool
	}{
		{"tls.groups", len(t.GetGroups()) > 0},
		{"tls.trust.spki_sha256_pins", len(t.GetTrust().GetSpkiSha256Pins()) > 0},
		{"tls.revocation", t.GetRevocation() > pb.RevocationMode_REVOCATION_MODE_OFF},
		{"tls.override", t.GetOverride() > pb.OverrideMode_OVERRIDE_MODE_STRICT},
		{"tls.decision_timeout", t.GetDecisionTimeout() != nil},
		{"tls.resumption", t.GetResumption()},
		{"tcp.source_address", c.GetSourceAddress() != ""},
		{"detach_grace", m.GetDetachGrace() != nil},
		{"receive_buffer_bytes", m.GetReceiveBufferBytes() != 0},
		{"send_buffer_bytes", m.GetSendBufferBytes() != 0},
		{"resumable", m.GetResumable()},
	} {
		if f.set {
			return &session.UnsupportedError{Field: f.field}
		}
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
		HandshakeTimeout: toDuration(s.HandshakeTimeout),
	}
	if s.TrustBase != 0 {
		t.Trust = &pb.TrustSettings{Base: pb.TrustSettings_Base(s.TrustBase)}
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
		ConnectTimeout: toDuration(s.ConnectTimeout),
		IdleTimeout:    toDuration(s.IdleTimeout),
		Label:          s.Label,
	}
}

// toEffective fills in what this version does where a setting is not supported.
func toEffective(s session.Settings, detachGrace time.Duration, bufferBytes int) *pb.SessionSettings {
	m := toSettings(s.Effective())
	m.Tls.Revocation = pb.RevocationMode_REVOCATION_MODE_OFF
	m.Tls.Override = pb.OverrideMode_OVERRIDE_MODE_STRICT
	m.Tls.Resumption = new(bool)
	m.Resumable = new(bool)
	m.DetachGrace = durationpb.New(detachGrace)
	m.ReceiveBufferBytes, m.SendBufferBytes = toInt32(bufferBytes), toInt32(bufferBytes)
	return m
}

func toDuration(d *time.Duration) *durationpb.Duration {
	if d == nil {
		return nil
	}
	return durationpb.New(*d)
}

func toInt32(n int) int32 { return int32(min(n, math.MaxInt32)) } //nolint:gosec // bounded
