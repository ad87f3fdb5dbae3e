package server_test

import (
	"context"
	"encoding/pem"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/tlsengine/tlstest"
)

func TestRefusedTargets(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	c := servertest.Start(t).Client(t)
	s := newIdle(t.Context(), t, c, ca)
	connectTo(t.Context(), t, c, s, addr)
	k := attach(t.Context(), t, c, s, 1)
	before := getSession(t.Context(), t, c, s)
	for _, tc := range []struct {
		host   string
		port   int32
		reason string
		code   codes.Code
	}{
		{"127.0.0.1", 0, "PORT_OUT_OF_RANGE", codes.OutOfRange},
		{"127.0.0.1", -1, "PORT_OUT_OF_RANGE", codes.OutOfRange},
		{"127.0.0.1", 65536, "PORT_OUT_OF_RANGE", codes.OutOfRange},
		{"", 443, "HOST_REQUIRED", codes.InvalidArgument},
		{"[::1]", 443, "HOST_SYNTAX", codes.InvalidArgument},
		{"127.1", 443, "HOST_SYNTAX", codes.InvalidArgument},
		{"0x7f.1", 443, "HOST_SYNTAX", codes.InvalidArgument},
		{"host name", 443, "HOST_SYNTAX", codes.InvalidArgument},
		{"fe80::1%eth0", 443, "HOST_SYNTAX", codes.InvalidArgument},
	} {
		_, err := c.Connect(t.Context(), &pb.ConnectRequest{SessionId: s.id, Host: tc.host, Port: tc.port})
		require.Equal(t, tc.reason, reasonOf(t, err), "%q %d", tc.host, tc.port)
		require.Equal(t, tc.code, status.Code(err))
		err = start(t.Context(), t, c, openFrame(&pb.Open{Host: tc.host, Port: tc.port})).end()
		require.Equal(t, tc.reason, reasonOf(t, err), "%q %d", tc.host, tc.port)
	}
	after := getSession(t.Context(), t, c, s)
	require.EqualValues(t, 1, after.GetGeneration())
	require.True(t, proto.Equal(before.GetTls(), after.GetTls()), "the connection is unharmed")
	k.write([]byte("still there"))
	k.until(func() bool { return string(k.data) == "still there" })
	require.Equal(t, "secure_connected", k.kinds()[len(k.events)-1], "no event")
	stillWorks(t.Context(), t, c, s, addr)
	list, err := c.ListSessions(t.Context(), &pb.ListSessionsRequest{})
	require.NoError(t, err)
	require.Len(t, list.GetSessions(), 1, "a refused open leaves no session")
}

func TestRefusedCertificateBytes(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	c := servertest.Start(t).Client(t)
	s := newIdle(t.Context(), t, c, ca)
	host, port := hostPort(t, addr)
	for name, bytes := range map[string][]byte{
		"empty": nil, "garbage": []byte("garbage"), "cut": ca.DER()[:100],
		"PEM":      pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.DER()}),
		"trailing": append(ca.DER(), 0),
		"two":      append(ca.DER(), ca.DER()...),
	} {
		_, err := c.AddCertificate(t.Context(), &pb.AddCertificateRequest{SessionId: s.id, Certificate: bytes, Trusted: true})
		require.Equal(t, "INVALID_CERTIFICATE", reasonOf(t, err), name)
		certs := []*pb.ExtraCertificate{{Certificate: ca.DER()}, {Certificate: bytes}}
		err = start(t.Context(), t, c, openFrame(&pb.Open{Host: host, Port: port, Certificates: certs})).end()
		require.Equal(t, "INVALID_CERTIFICATE", reasonOf(t, err), name)
	}
	many := make([]*pb.ExtraCertificate, 0, 101)
	for range 101 {
		many = append(many, &pb.ExtraCertificate{Certificate: tlstest.NewCA(t).DER()})
	}
	require.Equal(t, "LIMIT", reasonOf(t, start(t.Context(), t, c, openFrame(&pb.Open{Host: host, Port: port, Certificates: many})).end()))
	list, err := c.ListSessions(t.Context(), &pb.ListSessionsRequest{})
	require.NoError(t, err)
	require.Len(t, list.GetSessions(), 1)
	stillWorks(t.Context(), t, c, s, addr)
}

func TestRefusedSettings(t *testing.T) {
	t.Parallel()
	yes, ip := true, "127.0.0.1"
	minus := durationpb.New(-time.Nanosecond)
	inTLS := func(m *pb.TlsSettings) *pb.SessionSettings { return &pb.SessionSettings{Tls: m} }
	inTCP := func(m *pb.TcpSettings) *pb.SessionSettings { return &pb.SessionSettings{Tcp: m} }
	addr, ca := echoServer(t)
	c := servertest.Start(t).Client(t)
	s := newIdle(t.Context(), t, c, ca, &pb.SessionSettings{Label: "before"})
	before := getSession(t.Context(), t, c, s)
	host, port := hostPort(t, addr)
	for reason, refused := range map[string][]*pb.SessionSettings{
		"UNSUPPORTED": {
			inTCP(&pb.TcpSettings{SourceAddress: "127.0.0.1"}),
		},
		"UNSUPPORTED_PROTOCOL": {
			inTLS(&pb.TlsSettings{MinVersion: pb.ProtocolVersion_PROTOCOL_VERSION_SSL2}),
			inTLS(&pb.TlsSettings{MinVersion: pb.ProtocolVersion_PROTOCOL_VERSION_SSL3}),
			inTLS(&pb.TlsSettings{MaxVersion: pb.ProtocolVersion_PROTOCOL_VERSION_SSL3}),
			inTLS(&pb.TlsSettings{MinVersion: pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_0}),
			inTLS(&pb.TlsSettings{MinVersion: pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_1}),
			inTLS(&pb.TlsSettings{MaxVersion: pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_1}),
		},
		"UNSUPPORTED_CIPHER": {
			inTLS(&pb.TlsSettings{CipherSuites: []string{"ECDHE-RSA-AES128-GCM-SHA256"}}), // OpenSSL's name
			inTLS(&pb.TlsSettings{CipherSuites: []string{""}}),
			inTLS(&pb.TlsSettings{CipherSuites: []string{"TLS_RSA_WITH_RC4_128_SHA"}}),
			inTLS(&pb.TlsSettings{CipherSuites: []string{"TLS_AES_128_GCM_SHA256"}, MaxVersion: pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_2}),
		},
		"INVALID_FIELD": {
			{DetachGrace: durationpb.New(time.Second - 1)},
			{DetachGrace: durationpb.New(10*time.Minute + 1)},
			{ReceiveBufferBytes: 16<<10 - 1},
			{ReceiveBufferBytes: 4<<20 + 1},
			{SendBufferBytes: -1},
			{ConnectTimeout: minus},
			{IdleTimeout: minus},
			{IdleTimeout: &durationpb.Duration{Seconds: 1, Nanos: -1}},
			{Label: strings.Repeat("x", 129)},
			inTLS(&pb.TlsSettings{HandshakeTimeout: minus}),
			inTLS(&pb.TlsSettings{DecisionTimeout: minus}),
			inTLS(&pb.TlsSettings{DecisionTimeout: durationpb.New(24*time.Hour + 1)}),
			inTCP(&pb.TcpSettings{Keepalive: minus}),
			inTCP(&pb.TcpSettings{UserTimeout: minus}),
			inTCP(&pb.TcpSettings{TcpTimeout: minus}),
			inTLS(&pb.TlsSettings{MinVersion: pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_3, MaxVersion: pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_2}),
			inTLS(&pb.TlsSettings{MinVersion: 99}),
			inTCP(&pb.TcpSettings{AddressFamily: 3}),
			inTLS(&pb.TlsSettings{RequireAlpn: &yes}),
			inTLS(&pb.TlsSettings{AlpnProtocols: []string{""}}),
			inTLS(&pb.TlsSettings{AlpnProtocols: []string{strings.Repeat("x", 256)}}),
			inTLS(&pb.TlsSettings{AlpnProtocols: slices.Repeat([]string{"x"}, 17)}),
			inTLS(&pb.TlsSettings{VerifyNames: slices.Repeat([]string{"x"}, 17)}),
			inTLS(&pb.TlsSettings{VerifyNames: []string{""}}),
			inTLS(&pb.TlsSettings{ServerName: &ip}),
			inTLS(&pb.TlsSettings{Groups: []string{"X25519"}}), // not IANA's spelling
			inTLS(&pb.TlsSettings{Groups: []string{"x25519", ""}}),
			inTLS(&pb.TlsSettings{Groups: slices.Repeat([]string{"x25519"}, 17)}),
			inTLS(&pb.TlsSettings{Groups: []string{"X25519MLKEM768"}, MaxVersion: pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_2}),
			inTLS(&pb.TlsSettings{Trust: &pb.TrustSettings{SpkiSha256Pins: [][]byte{make([]byte, 31)}}}),
			inTLS(&pb.TlsSettings{Trust: &pb.TrustSettings{SpkiSha256Pins: [][]byte{make([]byte, 32), nil}}}),
			inTLS(&pb.TlsSettings{Trust: &pb.TrustSettings{SpkiSha256Pins: slices.Repeat([][]byte{make([]byte, 32)}, 33)}}),
			inTLS(&pb.TlsSettings{Trust: &pb.TrustSettings{Base: 99}}),
			inTLS(&pb.TlsSettings{Revocation: 99}),
			inTLS(&pb.TlsSettings{Override: 99}),
			inTLS(&pb.TlsSettings{Identities: []*pb.Identity{{}}}),
			inTLS(&pb.TlsSettings{Identities: []*pb.Identity{{Source: &pb.Identity_IdentityRef{IdentityRef: "nobody's"}}}}),
			inTLS(&pb.TlsSettings{Identities: []*pb.Identity{{Source: &pb.Identity_Public{Public: &pb.PublicIdentity{SpkiSha256: make([]byte, 32)}}}}}),
			inTLS(&pb.TlsSettings{Identities: []*pb.Identity{{Source: &pb.Identity_CallerSigner{CallerSigner: &pb.CallerSigner{
				CertificateChain: [][]byte{ca.DER()}, SignatureSchemes: []int32{-1},
			}}}}}),
		},
	} {
		for _, m := range refused {
			_, err := c.CreateSession(t.Context(), &pb.CreateSessionRequest{Settings: m})
			require.Equal(t, reason, reasonOf(t, err), "%v", m)
			_, metadata := infoOf(t, err)
			require.NotEmpty(t, metadata["field"], "%v", m)
			_, err = c.UpdateSession(t.Context(), &pb.UpdateSessionRequest{SessionId: s.id, Settings: m})
			require.Equal(t, reason, reasonOf(t, err), "%v", m)
			err = start(t.Context(), t, c, openFrame(&pb.Open{Host: host, Port: port, Settings: m})).end()
			if got := reasonOf(t, err); got != "STREAM_GRAMMAR" || !hasUnknownValue(m.ProtoReflect()) {
				require.Equal(t, reason, got, "%v", m)
			}
		}
	}
	list, err := c.ListSessions(t.Context(), &pb.ListSessionsRequest{})
	require.NoError(t, err)
	require.Len(t, list.GetSessions(), 1)
	require.True(t, proto.Equal(before.GetSettings(), list.GetSessions()[0].GetSettings()), "unchanged")
	stillWorks(t.Context(), t, c, s, addr)
}

// hasUnknownValue tells whether an enum has a value that no version of the
// contract has.
func hasUnknownValue(m protoreflect.Message) (unknown bool) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsList():
		case fd.Enum() != nil:
			unknown = fd.Enum().Values().ByNumber(v.Enum()) == nil
		case fd.Message() != nil:
			unknown = hasUnknownValue(v.Message())
		}
		return !unknown
	})
	return unknown
}

// everyCall has each RPC about a session; an attach is one of them.
func everyCall(tb testing.TB, c pb.SecureSocketServiceClient, s idle, der []byte) map[string]func(context.Context) error {
	tb.Helper()
	return map[string]func(context.Context) error{
		"GetSession": func(ctx context.Context) error {
			_, err := c.GetSession(ctx, &pb.GetSessionRequest{SessionId: s.id})
			return err
		},
		"UpdateSession": func(ctx context.Context) error {
			_, err := c.UpdateSession(ctx, &pb.UpdateSessionRequest{SessionId: s.id, Settings: &pb.SessionSettings{Label: "mine now"}})
			return err
		},
		"DeleteSession": func(ctx context.Context) error {
			_, err := c.DeleteSession(ctx, &pb.DeleteSessionRequest{SessionId: s.id})
			return err
		},
		"Connect": func(ctx context.Context) error {
			_, err := c.Connect(ctx, &pb.ConnectRequest{SessionId: s.id, Host: "127.0.0.1", Port: 1, RequestId: "r"})
			return err
		},
		"Close": func(ctx context.Context) error {
			_, err := c.Close(ctx, &pb.CloseRequest{SessionId: s.id})
			return err
		},
		"Wait": func(ctx context.Context) error {
			_, err := c.Wait(ctx, &pb.WaitRequest{SessionId: s.id, Condition: pb.WaitRequest_CONDITION_ENCRYPTED})
			return err
		},
		"AddCertificate": func(ctx context.Context) error {
			_, err := c.AddCertificate(ctx, &pb.AddCertificateRequest{SessionId: s.id, Certificate: der})
			return err
		},
		"GetCertificateStatus": func(ctx context.Context) error {
			_, err := c.GetCertificateStatus(ctx, &pb.GetCertificateStatusRequest{SessionId: s.id})
			return err
		},
		"Attach": func(ctx context.Context) error {
			return start(ctx, tb, c, attachFrame(&pb.AttachSession{SessionId: s.id, ResumeToken: s.token, AttachSeq: 5})).end()
		},
	}
}

func TestAForeignSessionIsAsGoodAsNone(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	c := servertest.Start(t).Client(t)
	alice, mallory := servertest.As(t.Context(), "alice"), servertest.As(t.Context(), "mallory")
	s := newIdle(alice, t, c, ca)
	connectTo(alice, t, c, s, addr)
	none := idle{strings.Repeat("a", 26), s.token}
	unknown := everyCall(t, c, none, ca.DER())
	for name, call := range everyCall(t, c, s, ca.DER()) {
		foreign, missing := call(mallory), unknown[name](mallory)
		require.Equal(t, "SESSION_NOT_FOUND", reasonOf(t, foreign), name)
		require.Equal(t, codes.NotFound, status.Code(foreign), name)
		require.True(t, proto.Equal(status.Convert(missing).Proto(), status.Convert(foreign).Proto()), "%s: %v, %v", name, missing, foreign)
	}
	list, err := c.ListSessions(mallory, &pb.ListSessionsRequest{})
	require.NoError(t, err)
	require.Empty(t, list.GetSessions())
	_, err = c.GetSession(alice, &pb.GetSessionRequest{})
	require.Equal(t, "INVALID_FIELD", reasonOf(t, err), "an ID is required")
	got := getSession(alice, t, c, s)
	require.Equal(t, pb.State_STATE_ENCRYPTED, got.GetState())
	require.Equal(t, "alice", got.GetOwner())
	require.Empty(t, got.GetSettings().GetLabel())
	require.Zero(t, got.GetAttachSeq())
	stillWorks(alice, t, c, s, addr)
}

func TestNobodyIsRefusedEverywhere(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	c := servertest.Start(t).Client(t)
	s := newIdle(t.Context(), t, c, ca)
	calls := everyCall(t, c, s, ca.DER())
	calls["GetCapabilities"] = func(ctx context.Context) error {
		_, err := c.GetCapabilities(ctx, &pb.GetCapabilitiesRequest{})
		return err
	}
	calls["CreateSession"] = func(ctx context.Context) error {
		_, err := c.CreateSession(ctx, &pb.CreateSessionRequest{})
		return err
	}
	calls["ListSessions"] = func(ctx context.Context) error {
		_, err := c.ListSessions(ctx, &pb.ListSessionsRequest{})
		return err
	}
	calls["Open"] = func(ctx context.Context) error {
		host, port := hostPort(t, addr)
		return start(ctx, t, c, openFrame(&pb.Open{Host: host, Port: port})).end()
	}
	for name, call := range calls {
		err := call(servertest.As(t.Context(), servertest.Nobody))
		require.Equal(t, "UNAUTHENTICATED", reasonOf(t, err), name)
		require.Equal(t, codes.Unauthenticated, status.Code(err), name)
	}
	stillWorks(t.Context(), t, c, s, addr)
}

func TestLimitOfSessions(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	c := servertest.Start(t, func(sc *session.Config, _ *server.Config) { sc.MaxSessionsPerOwner = 2 }).Client(t)
	host, port := hostPort(t, addr)
	// An open that is refused leaves nothing that would count.
	for range 3 {
		err := start(t.Context(), t, c, openFrame(&pb.Open{Host: host, Port: port, AttachSeq: 1 << 40})).end()
		require.Equal(t, "OFFSET_MISMATCH", reasonOf(t, err))
	}
	s := newIdle(t.Context(), t, c, ca)
	other := newIdle(t.Context(), t, c, ca)
	_, err := c.CreateSession(t.Context(), &pb.CreateSessionRequest{})
	require.Equal(t, "LIMIT", reasonOf(t, err))
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.Equal(t, "LIMIT", reasonOf(t, start(t.Context(), t, c, openFrame(&pb.Open{Host: host, Port: port})).end()))
	newIdle(servertest.As(t.Context(), "another"), t, c, ca)
	stillWorks(t.Context(), t, c, s, addr)
	_, err = c.DeleteSession(t.Context(), &pb.DeleteSessionRequest{SessionId: other.id})
	require.NoError(t, err)
	newIdle(t.Context(), t, c, ca)
}

func TestDrainingRefusesNewSessions(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	service := servertest.Start(t)
	c := service.Client(t)
	host, port := hostPort(t, addr)
	s := newIdle(t.Context(), t, c, ca)
	k := attach(t.Context(), t, c, s, 1)
	connectTo(t.Context(), t, c, s, addr)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { service.Server.Drain(ctx) })
	k.event("draining")
	_, err := c.CreateSession(t.Context(), &pb.CreateSessionRequest{})
	require.Equal(t, "DRAINING", reasonOf(t, err))
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.Equal(t, "DRAINING", reasonOf(t, start(t.Context(), t, c, openFrame(&pb.Open{Host: host, Port: port})).end()))
	k.write([]byte("goes on"))
	k.until(func() bool { return string(k.data) == "goes on" })
	cancel()
	require.Equal(t, "DRAINING", reasonOf(t, k.end()))
	wg.Wait()
	_, err = c.CreateSession(t.Context(), &pb.CreateSessionRequest{})
	require.Equal(t, codes.Unavailable, status.Code(err), "it has stopped")
}
