package server_test

import (
	"context"
	"crypto/tls"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/session/durable"
	"securesocket/tlsengine/identity"
	"securesocket/tlsengine/tlstest"
)

const (
	tls12 = pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_2
	tls13 = pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_3
)

func (k trustClients) updateDefaults(ctx context.Context, m *pb.SessionSettings, paths ...string) *pb.UpdateDefaultsResponse {
	k.tb.Helper()
	req := &pb.UpdateDefaultsRequest{Settings: m}
	if len(paths) > 0 {
		req.UpdateMask = &fieldmaskpb.FieldMask{Paths: paths}
	}
	resp, err := k.t.UpdateDefaults(ctx, req)
	require.NoError(k.tb, err)
	require.True(k.tb, proto.Equal(resp.GetSettings(), k.defaults(ctx)), "the reply has what GetDefaults has")
	return resp
}

func (k trustClients) defaults(ctx context.Context) *pb.SessionSettings {
	k.tb.Helper()
	resp, err := k.t.GetDefaults(ctx, &pb.GetDefaultsRequest{})
	require.NoError(k.tb, err)
	return resp.GetSettings()
}

// nothingSet is how settings without any value come back.
func nothingSet(m *pb.SessionSettings) bool {
	return proto.Equal(&pb.SessionSettings{Tls: &pb.TlsSettings{}, Tcp: &pb.TcpSettings{}}, m)
}

// operatorsIdentity is one that the operator holds, by its name.
func operatorsIdentity(tb testing.TB, ref string, id *tlstest.Identity) servertest.Option {
	tb.Helper()
	held, err := identity.FromPEM(ref, id.ChainPEM(), id.KeyPEM(), "")
	require.NoError(tb, err)
	return func(sc *session.Config, _ *server.Config) {
		if sc.Identities == nil {
			sc.Identities = make(map[string]*identity.Identity)
		}
		sc.Identities[ref] = held
	}
}

func byRef(ref string) *pb.Identity {
	return &pb.Identity{Source: &pb.Identity_IdentityRef{IdentityRef: ref}}
}

func TestDefaultsAreChangedByMasks(t *testing.T) {
	t.Parallel()
	k := newTrustClients(t, servertest.Start(t))
	ctx, no := t.Context(), false
	require.True(t, nothingSet(k.defaults(ctx)))

	k.updateDefaults(ctx, &pb.SessionSettings{
		Label: "by default", IdleTimeout: durationpb.New(time.Hour),
		Tls: &pb.TlsSettings{MinVersion: tls13, Groups: []string{"x25519", "secp256r1"}, Resumption: &no},
		Tcp: &pb.TcpSettings{NoDelay: &no},
	})
	got := k.updateDefaults(ctx, &pb.SessionSettings{Tls: &pb.TlsSettings{Groups: []string{"secp384r1"}}}).GetSettings()
	require.Equal(t, []string{"secp384r1"}, got.GetTls().GetGroups(), "replaced, not joined")
	require.Equal(t, tls13, got.GetTls().GetMinVersion(), "what is absent stays")
	require.Equal(t, "by default", got.GetLabel())

	got = k.updateDefaults(ctx, &pb.SessionSettings{Label: "ignored"}, "tls.min_version", "tcp", "idle_timeout").GetSettings()
	require.Zero(t, got.GetTls().GetMinVersion(), "back to the service's")
	require.Nil(t, got.GetTcp().NoDelay)
	require.Nil(t, got.GetIdleTimeout())
	require.Equal(t, "by default", got.GetLabel(), "not in the mask")
	require.False(t, got.GetTls().GetResumption())
	require.NotNil(t, got.GetTls().Resumption)

	for _, path := range []string{"nothing", "tls.nothing", "Label", "", "*x"} {
		_, err := k.t.UpdateDefaults(ctx, &pb.UpdateDefaultsRequest{
			Settings: &pb.SessionSettings{Label: "x"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"label", path}},
		})
		require.Equal(t, "INVALID_FIELD", reasonOf(t, err), path)
	}
	require.True(t, proto.Equal(got, k.defaults(ctx)), "all of it or nothing")
	require.True(t, nothingSet(k.updateDefaults(ctx, nil, "*").GetSettings()))
}

func TestSettingsOfASessionComeBeforeTheDefaults(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t, func(c *tls.Config) { c.NextProtos = []string{"h2", "http/1.1"} })
	k := newTrustClients(t, servertest.Start(t))
	ctx, yes, no := t.Context(), true, false
	s := newIdle(ctx, t, k.c, ca, &pb.SessionSettings{Label: "own", Tls: &pb.TlsSettings{MaxVersion: tls13}, Tcp: &pb.TcpSettings{NoDelay: &yes}})
	connectTo(ctx, t, k.c, s, addr)
	before := getSession(ctx, t, k.c, s)

	k.updateDefaults(ctx, &pb.SessionSettings{
		Label:       "by default",
		IdleTimeout: durationpb.New(time.Hour),
		Tls:         &pb.TlsSettings{AlpnProtocols: []string{"http/1.1"}, MaxVersion: tls12, Groups: []string{"secp384r1"}},
		Tcp:         &pb.TcpSettings{NoDelay: &no},
	})
	got := getSession(ctx, t, k.c, s)
	require.True(t, proto.Equal(before.GetSettings(), got.GetSettings()), "a session's own are as it gave them")
	require.True(t, proto.Equal(before.GetTls(), got.GetTls()), "the connection goes on")
	effective := got.GetEffectiveSettings()
	require.Equal(t, "own", effective.GetLabel())
	require.Equal(t, tls13, effective.GetTls().GetMaxVersion())
	require.Equal(t, tls12, effective.GetTls().GetMinVersion(), "the service's")
	require.True(t, effective.GetTcp().GetNoDelay())
	require.Equal(t, []string{"http/1.1"}, effective.GetTls().GetAlpnProtocols())
	require.Equal(t, time.Hour, effective.GetIdleTimeout().AsDuration())
	require.True(t, effective.GetTls().GetResumption(), "the service's")

	// The next connect has them, of this session and of others.
	agreed := connectTo(ctx, t, k.c, s, addr).GetSession().GetTls()
	require.Equal(t, "http/1.1", agreed.GetAlpnProtocol())
	require.Equal(t, "secp384r1", agreed.GetGroup())
	require.Equal(t, tls13, agreed.GetVersion())
	agreed = connectTo(ctx, t, k.c, newIdle(ctx, t, k.c, ca), addr).GetSession().GetTls()
	require.Equal(t, tls12, agreed.GetVersion())
	stream := open(t, k.c, addr, ca)
	require.Equal(t, tls12, stream.secure().GetTls().GetVersion())

	// And nobody else.
	bob := servertest.As(ctx, "bob")
	require.True(t, nothingSet(k.defaults(bob)))
	agreed = connectTo(bob, t, k.c, newIdle(bob, t, k.c, ca), addr).GetSession().GetTls()
	require.Equal(t, tls13, agreed.GetVersion())
	require.Empty(t, agreed.GetAlpnProtocol())

	k.updateDefaults(ctx, nil, "*")
	require.Empty(t, connectTo(ctx, t, k.c, s, addr).GetSession().GetTls().GetAlpnProtocol())
}

func TestDefaultsTakeNoKey(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	held, own := ca.Leaf(), ca.Leaf()
	shown := make(chan []byte, 1)
	addr := tlstest.Serve(t, &tls.Config{
		Certificates: []tls.Certificate{ca.Leaf().Certificate()}, ClientAuth: tls.RequireAnyClientCert,
	}, func(conn *tls.Conn) {
		shown <- conn.ConnectionState().PeerCertificates[0].Raw
		tlstest.Echo(conn)
	})
	k := newTrustClients(t, servertest.Start(t, operatorsIdentity(t, "house", held)))
	ctx := t.Context()
	key, err := own.Identity.KeyPEM()
	require.NoError(t, err)
	pair := &pb.Identity{Source: &pb.Identity_KeyPair{KeyPair: &pb.KeyPair{CertificateChain: own.Chain, PrivateKey: key}}}
	for name, ids := range map[string][]*pb.Identity{
		"a key pair":        {pair},
		"beside a ref":      {byRef("house"), pair},
		"a caller's signer": {{Source: &pb.Identity_CallerSigner{CallerSigner: &pb.CallerSigner{CertificateChain: own.Chain}}}},
		"an unknown ref":    {byRef("nobody's")},
		"nothing":           {{}},
	} {
		_, err := k.t.UpdateDefaults(ctx, &pb.UpdateDefaultsRequest{Settings: &pb.SessionSettings{Tls: &pb.TlsSettings{Identities: ids}}})
		require.Equal(t, "INVALID_FIELD", reasonOf(t, err), name)
		_, metadata := infoOf(t, err)
		require.Contains(t, metadata["field"], "settings.tls.identities", name)
		require.True(t, nothingSet(k.defaults(ctx)), name)
	}

	got := k.updateDefaults(ctx, &pb.SessionSettings{Tls: &pb.TlsSettings{Identities: []*pb.Identity{byRef("house")}}}).GetSettings()
	public := got.GetTls().GetIdentities()[0].GetPublic()
	require.Equal(t, "house", public.GetIdentityRef())
	require.Empty(t, public.GetCertificateChain(), "the operator's chain is his")
	// Sent back as it came, it stays as it is.
	require.Len(t, k.updateDefaults(ctx, got).GetSettings().GetTls().GetIdentities(), 1)

	s := newIdle(ctx, t, k.c, ca)
	require.Equal(t, "house", getSession(ctx, t, k.c, s).GetEffectiveSettings().GetTls().GetIdentities()[0].GetPublic().GetIdentityRef())
	connectTo(ctx, t, k.c, s, addr)
	require.Equal(t, held.Leaf.Raw, <-shown)
	s = newIdle(ctx, t, k.c, ca, &pb.SessionSettings{Tls: &pb.TlsSettings{Identities: []*pb.Identity{pair}}})
	connectTo(ctx, t, k.c, s, addr)
	require.Equal(t, own.Leaf.Raw, <-shown, "the session's own comes before it")
}

func TestSettingsThatContradictTheDefaults(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	k := newTrustClients(t, servertest.Start(t))
	ctx, yes := t.Context(), true
	for name, tc := range map[string]struct {
		own, defaults *pb.TlsSettings
		field, reason string
	}{
		"versions": {&pb.TlsSettings{MinVersion: tls13}, &pb.TlsSettings{MaxVersion: tls12}, "tls.min_version", "INVALID_FIELD"},
		"suites": {&pb.TlsSettings{CipherSuites: []string{"TLS_AES_128_GCM_SHA256"}}, &pb.TlsSettings{MaxVersion: tls12},
			"tls.cipher_suites", "UNSUPPORTED_CIPHER"},
		"groups": {&pb.TlsSettings{Groups: []string{"X25519MLKEM768"}}, &pb.TlsSettings{MaxVersion: tls12}, "tls.groups", "INVALID_FIELD"},
	} {
		k.updateDefaults(ctx, nil, "*")
		s := newIdle(ctx, t, k.c, ca, &pb.SessionSettings{Tls: tc.own})
		k.updateDefaults(ctx, &pb.SessionSettings{Tls: tc.defaults})
		_, err := tryConnect(ctx, t, k.c, s, addr)
		require.Equal(t, tc.reason, reasonOf(t, err), name)
		_, metadata := infoOf(t, err)
		require.Equal(t, tc.field, metadata["field"], name)
		require.EqualValues(t, 0, getSession(ctx, t, k.c, s).GetGeneration(), "%s: nothing was begun", name)
		host, port := hostPort(t, addr)
		err = start(ctx, t, k.c, openFrame(&pb.Open{Host: host, Port: port, Settings: &pb.SessionSettings{Tls: tc.own}})).end()
		require.Equal(t, tc.reason, reasonOf(t, err), name)
		k.updateDefaults(ctx, nil, "*")
		stillWorks(ctx, t, k.c, s, addr)

		connectTo(ctx, t, k.c, s, addr)
		k.updateDefaults(ctx, &pb.SessionSettings{Tls: tc.defaults})
		_, err = tryConnect(ctx, t, k.c, s, addr)
		require.Equal(t, tc.reason, reasonOf(t, err), name)
		require.Equal(t, pb.State_STATE_ENCRYPTED, getSession(ctx, t, k.c, s).GetState(), "%s: what was connected still is", name)
	}
	k.updateDefaults(ctx, nil, "*")
	list, err := k.c.ListSessions(ctx, &pb.ListSessionsRequest{})
	require.NoError(t, err)
	require.Len(t, list.GetSessions(), 3, "a refused open leaves no session")

	// A default that is of no use alone is refused alone.
	_, err = k.t.UpdateDefaults(ctx, &pb.UpdateDefaultsRequest{Settings: &pb.SessionSettings{Tls: &pb.TlsSettings{RequireAlpn: &yes}}})
	require.Equal(t, "INVALID_FIELD", reasonOf(t, err))
}

func TestRefusedDefaults(t *testing.T) {
	t.Parallel()
	k := newTrustClients(t, servertest.Start(t, func(sc *session.Config, _ *server.Config) { sc.ForbidOverride = true }))
	for reason, refused := range map[string][]*pb.SessionSettings{
		"INVALID_FIELD": {
			{IdleTimeout: durationpb.New(-1)},
			{Tls: &pb.TlsSettings{MinVersion: tls13, MaxVersion: tls12}},
			{Tls: &pb.TlsSettings{Groups: []string{"nothing"}}},
			{Tls: &pb.TlsSettings{Trust: &pb.TrustSettings{SpkiSha256Pins: [][]byte{{1}}}}},
			{Tls: &pb.TlsSettings{Revocation: 9}},
		},
		"UNSUPPORTED":          {{Tcp: &pb.TcpSettings{SourceAddress: "127.0.0.1"}}},
		"UNSUPPORTED_PROTOCOL": {{Tls: &pb.TlsSettings{MinVersion: pb.ProtocolVersion_PROTOCOL_VERSION_SSL3}}},
		"UNSUPPORTED_CIPHER":   {{Tls: &pb.TlsSettings{CipherSuites: []string{"TLS_RSA_WITH_RC4_128_SHA"}}}},
		"NOT_ALLOWED":          {{Tls: &pb.TlsSettings{Override: pb.OverrideMode_OVERRIDE_MODE_ASK}}},
	} {
		for _, m := range refused {
			_, err := k.t.UpdateDefaults(t.Context(), &pb.UpdateDefaultsRequest{Settings: m})
			require.Equal(t, reason, reasonOf(t, err), "%v", m)
			require.NotEqual(t, codes.Internal, status.Code(err))
		}
	}
	require.True(t, nothingSet(k.defaults(t.Context())))
	resp := k.updateDefaults(t.Context(), &pb.SessionSettings{Tls: &pb.TlsSettings{CipherSuites: []string{"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"}}})
	require.NotEmpty(t, resp.GetWarnings(), "the suites of TLS 1.3 cannot be chosen")
}

// What is about one target is no default: it would decide which name other targets are verified by.
func TestDefaultsNameNoTarget(t *testing.T) {
	t.Parallel()
	k := newTrustClients(t, servertest.Start(t))
	name := "other.example"
	for _, m := range []*pb.TlsSettings{{ServerName: &name}, {VerifyNames: []string{name}}} {
		_, err := k.t.UpdateDefaults(t.Context(), &pb.UpdateDefaultsRequest{Settings: &pb.SessionSettings{Tls: m}})
		require.Equal(t, "INVALID_FIELD", reasonOf(t, err))
	}
}

// A default that the operator forbids later is not left out: the caller would be less safe than he asked to be.
func TestForbiddenDefaultsFailClosed(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	dir := t.TempDir()
	lives := func(forbid bool, life func(k trustClients)) {
		store, err := durable.Open(dir)
		require.NoError(t, err)
		svc := servertest.Start(t, systemOf(ca), keptIn(store), func(c *session.Config, _ *server.Config) { c.ForbidOverride = forbid })
		life(newTrustClients(t, svc))
		svc.Server.Close()
		require.NoError(t, store.Close())
	}
	pin := make([]byte, 32)
	lives(false, func(k trustClients) {
		k.updateDefaults(t.Context(), &pb.SessionSettings{Tls: &pb.TlsSettings{
			Override: pb.OverrideMode_OVERRIDE_MODE_ASK, Trust: &pb.TrustSettings{SpkiSha256Pins: [][]byte{pin}},
		}})
	})
	lives(true, func(k trustClients) {
		s := newIdle(t.Context(), t, k.c, nil)
		_, err := tryConnect(t.Context(), t, k.c, s, addr)
		require.Equal(t, "NOT_ALLOWED", reasonOf(t, err))
		require.Equal(t, [][]byte{pin}, k.defaults(t.Context()).GetTls().GetTrust().GetSpkiSha256Pins())
	})
}
