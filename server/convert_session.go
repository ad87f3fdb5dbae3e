package server

import (
	"net/netip"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/session"
	"securesocket/tlsengine"
)

func toSession(v session.Snapshot) *pb.Session {
	m := &pb.Session{
		SessionId:         v.ID,
		Generation:        v.Generation,
		State:             pb.State(v.State),
		Mode:              pb.Mode(v.Mode),
		PeerCertificate:   toCertificate(v.Peer),
		CertificateStatus: pb.CertificateStatus(v.Status),
		Settings:          toSettings(v.Settings),
		ReceivedBytes:     v.Received,
		SentBytes:         v.Sent,
		PendingBytes:      v.Accepted - v.Sent,
		BufferedBytes:     v.Received - v.Delivered,
		Attached:          v.Attached,
		LastError:         toFailure(v.LastErr),
		CloseCause:        pb.CloseCause(v.Cause),
		CreateTime:        timestamppb.New(v.Created),
		Owner:             v.Owner,
		AttachSeq:         v.AttachSeq,
		EffectiveSettings: toSettings(v.Effective),
		ReadCause:         pb.CloseCause(v.ReadCause),
		WriteCause:        pb.CloseCause(v.WriteCause),
		ListenerId:        v.Listener,
		Greeting:          v.Greeting,
	}
	if v.Generation > 0 {
		m.Host, m.Port = v.Target.Host(), toInt32(v.Target.Port)
		m.Local, m.Remote = toEndpoint(v.Local), toEndpoint(v.Remote)
		m.Timeline = toTimeline(v.Timeline)
	}
	if v.TLS != nil {
		m.Tls = toTLSState(*v.TLS)
	}
	if !v.Expires.IsZero() {
		m.ExpireTime = timestamppb.New(v.Expires)
	}
	return m
}

func toEndpoint(a netip.AddrPort) *pb.Endpoint {
	if !a.IsValid() {
		return nil
	}
	return &pb.Endpoint{Address: a.Addr().String(), Port: int32(a.Port())}
}

func toTLSState(st tlsengine.State) *pb.TlsState {
	m := &pb.TlsState{
		Version:      toVersion(st.Version),
		AlpnProtocol: valid(st.ALPN),
		ServerName:   st.ServerName,
		Resumed:      st.Resumed,

		ClientCertificateRequested: st.ClientCertificate != tlsengine.NotRequested,
		ClientCertificateShown:     st.ClientCertificate == tlsengine.OneShown,
	}
	if st.Group != 0 {
		m.Group = groupName(st.Group)
	}
	if suite, ok := tlsengine.SuiteByID(st.CipherSuite); ok {
		m.CipherSuite = suite.Name
		m.Cipher = toCipher(suite)
	}
	return m
}

func toCipher(s tlsengine.Suite) *pb.CipherInfo {
	return &pb.CipherInfo{
		Name:                 s.OpenSSL,
		IanaName:             s.Name,
		Protocol:             s.Protocol,
		KeyExchangeMethod:    s.KeyExchange,
		AuthenticationMethod: s.Authentication,
		EncryptionMethod:     s.Encryption,
		UsedBits:             toInt32(s.UsedBits),
		SupportedBits:        toInt32(s.KeyBits),
		IanaId:               int32(s.ID),
	}
}

func groupName(id uint16) string {
	if g, ok := tlsengine.GroupByID(id); ok {
		return g.Name
	}
	return num(int64(id))
}

func toTimeline(t session.Timeline) *pb.Timeline {
	return &pb.Timeline{
		Policy:     toSpan(t.Policy),
		Dns:        toSpan(t.DNS),
		Tcp:        toSpan(t.TCP),
		Handshake:  toSpan(t.Handshake),
		Validation: toSpan(t.Validation),
		Revocation: toSpan(t.Revocation),
		Decision:   toSpan(t.Decision),
	}
}

func toSpan(s session.Span) *pb.Span {
	if !s.Reached {
		return nil
	}
	return &pb.Span{Start: durationpb.New(s.Start), Duration: durationpb.New(max(s.Duration, time.Nanosecond))}
}
