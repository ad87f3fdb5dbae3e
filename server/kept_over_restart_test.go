package server_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/session/durable"
	"securesocket/tlsengine/tlstest"
)

// keptIn lets a service keep what it is told in a store.
func keptIn(store durable.Store) servertest.Option {
	return func(sc *session.Config, _ *server.Config) { sc.Store = store }
}

func TestWhatIsKeptOverARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	system, service, mine, helper := tlstest.NewCA(t), tlstest.NewCA(t), tlstest.NewCA(t), tlstest.NewCA(t).Intermediate()
	house := operatorsIdentity(t, "house", mine.Leaf())
	alice, bob, admin := servertest.As(t.Context(), "alice"), servertest.As(t.Context(), "bob"), servertest.As(t.Context(), administrator)
	var defaults *pb.SessionSettings
	lives := func(life func(k trustClients), opts ...servertest.Option) {
		store, err := durable.Open(dir)
		require.NoError(t, err)
		svc := servertest.Start(t, append(opts, systemOf(system), keptIn(store))...)
		life(newTrustClients(t, svc))
		svc.Server.Close()
		require.NoError(t, store.Close())
	}
	lives(func(k trustClients) {
		no := false
		k.add(admin, ofService, "", true, service.DER())
		k.set(alice, ofDefaults, "", mine.DER())
		k.add(alice, ofDefaults, "", false, helper.DER())
		k.add(bob, ofDefaults, "", true, mine.DER())
		k.updateDefaults(alice, &pb.SessionSettings{
			Label: "kept", ConnectTimeout: durationpb.New(7 * time.Second), IdleTimeout: durationpb.New(0),
			Tls: &pb.TlsSettings{
				AlpnProtocols: []string{"x"}, MinVersion: tls13, Resumption: &no,
				Groups: []string{"x25519"}, CipherSuites: []string{"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"},
				Trust:      &pb.TrustSettings{Base: pb.TrustSettings_BASE_SYSTEM, SpkiSha256Pins: [][]byte{make([]byte, 32)}},
				Revocation: pb.RevocationMode_REVOCATION_MODE_HARD, Override: pb.OverrideMode_OVERRIDE_MODE_ASK,
				Identities: []*pb.Identity{byRef("house")}, DecisionTimeout: durationpb.New(time.Second),
			},
			Tcp: &pb.TcpSettings{NoDelay: &no, AddressFamily: pb.AddressFamily_ADDRESS_FAMILY_IPV4},
		})
		defaults = k.defaults(alice)
		s := newIdle(alice, t, k.c, nil)
		k.add(alice, ofSession, s.id, true, service.DER())
	}, house)
	lives(func(k trustClients) {
		require.True(t, proto.Equal(defaults, k.defaults(alice)), "%v", k.defaults(alice))
		require.True(t, nothingSet(k.defaults(bob)))
		require.Equal(t, []entry{{string(mine.DER()), true, ofDefaults}, {string(helper.DER()), false, ofDefaults}}, entriesOf(k.listed(alice, ofDefaults, "", 0)))
		require.Equal(t, []entry{{string(system.DER()), true, ofSystem}, {string(service.DER()), true, ofService}, {string(mine.DER()), true, ofDefaults}},
			entriesOf(k.listed(bob, ofDefaults, "", 0)))
		list, err := k.c.ListSessions(alice, &pb.ListSessionsRequest{})
		require.NoError(t, err)
		require.Empty(t, list.GetSessions(), "sockets are not")

		s := newIdle(bob, t, k.c, nil)
		k.requireJudged(bob, s, serveChain(t, service.Leaf()), true, "defaults", system, service, mine)
		k.reset(alice, ofDefaults, "")
		k.reset(admin, ofService, "")
	}, house)
	lives(func(k trustClients) {
		require.Len(t, k.listed(alice, ofDefaults, "", 0), 1, "what was reset is gone")
		require.Len(t, k.listed(bob, ofDefaults, "", 0), 2)

		// The operator has taken his identity away.
		got := k.defaults(alice)
		require.Empty(t, got.GetTls().GetIdentities())
		require.Equal(t, "kept", got.GetLabel())
		k.updateDefaults(alice, nil, "*")
	})
	lives(func(k trustClients) { require.True(t, nothingSet(k.defaults(alice))) })
}

func TestNothingIsKeptInMemory(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	for range 2 {
		k := newTrustClients(t, servertest.Start(t, systemOf()))
		require.Empty(t, k.listed(t.Context(), ofDefaults, "", 0))
		require.True(t, nothingSet(k.defaults(t.Context())))
		k.add(t.Context(), ofDefaults, "", true, ca.DER())
		k.updateDefaults(t.Context(), &pb.SessionSettings{Label: "forgotten"})
	}
}

// A store that fails is the operator's trouble: callers are told no more than
// that, and what is known already goes on.
func TestStoreThatFails(t *testing.T) {
	t.Parallel()
	store := durable.Memory()
	ca := tlstest.NewCA(t)
	addr := serveChain(t, ca.Leaf())
	k := newTrustClients(t, servertest.Start(t, systemOf(), keptIn(store)))
	known, unread := servertest.As(t.Context(), "known"), servertest.As(t.Context(), "unread")
	k.add(known, ofDefaults, "", true, ca.DER())
	k.updateDefaults(known, &pb.SessionSettings{Label: "before"})
	s := newIdle(known, t, k.c, nil)
	k.requireJudged(known, s, addr, true, "defaults", ca)
	require.NoError(t, store.Close())

	for name, ctx := range map[string]context.Context{"known": known, "unread": unread} {
		_, err := k.t.AddCertificates(ctx, &pb.AddCertificatesRequest{Scope: ofDefaults, Bundle: tlstest.NewCA(t).DER()})
		require.Equal(t, "INTERNAL", reasonOf(t, err), name)
		_, err = k.t.ResetCertificates(ctx, &pb.ResetCertificatesRequest{Scope: ofDefaults})
		require.Equal(t, "INTERNAL", reasonOf(t, err), name)
		_, err = k.t.UpdateDefaults(ctx, &pb.UpdateDefaultsRequest{Settings: &pb.SessionSettings{Label: "after"}})
		require.Equal(t, "INTERNAL", reasonOf(t, err), name)
		_, metadata := infoOf(t, err)
		require.NotEmpty(t, metadata["id"], "it is in the logs")
	}
	k.requireJudged(known, s, addr, true, "defaults", ca)
	require.Equal(t, "before", k.defaults(known).GetLabel(), "what was not kept does not hold")

	// What cannot be read may forbid what a session is about to do.
	_, err := k.c.CreateSession(unread, &pb.CreateSessionRequest{})
	require.Equal(t, "INTERNAL", reasonOf(t, err))
	_, err = k.t.GetDefaults(unread, &pb.GetDefaultsRequest{})
	require.Equal(t, "INTERNAL", reasonOf(t, err))
	_, err = k.t.ListCertificates(unread, &pb.ListCertificatesRequest{Scope: ofDefaults})
	require.Equal(t, "INTERNAL", reasonOf(t, err))
	_, err = k.t.ListCertificates(unread, &pb.ListCertificatesRequest{Scope: ofSystem})
	require.NoError(t, err)
	list, err := k.c.ListSessions(unread, &pb.ListSessionsRequest{})
	require.NoError(t, err)
	require.Empty(t, list.GetSessions())
}
