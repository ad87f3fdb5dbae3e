package server_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/tlsengine/tlstest"
)

// ticketPeer is a server that gives tickets, says a word and then echoes.
type ticketPeer struct {
	cfg     *tls.Config
	offered atomic.Int64 // tickets that came back
	states  chan tls.ConnectionState
}

func newTicketPeer(id *tlstest.Identity, version uint16, change ...func(*tls.Config)) *ticketPeer {
	p := &ticketPeer{cfg: serverConfig(id), states: make(chan tls.ConnectionState, 64)}
	onlyVersion(version)(p.cfg)
	p.cfg.UnwrapSession = func(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
		if len(ticket) > 0 { // crypto/tls asks about none, too
			p.offered.Add(1)
		}
		return p.cfg.DecryptTicket(ticket, cs)
	}
	for _, f := range change {
		f(p.cfg)
	}
	return p
}

// serve listens at another port each time, with the same ticket keys.
func (p *ticketPeer) serve(tb testing.TB) string {
	tb.Helper()
	ctx := tb.Context()
	return tlstest.ServeRaw(tb, func(raw net.Conn) {
		conn := tls.Server(raw, p.cfg)
		if conn.HandshakeContext(ctx) != nil {
			return
		}
		select {
		case p.states <- conn.ConnectionState():
		default: // nobody looks
		}
		_, _ = conn.Write([]byte("."))
		tlstest.Echo(conn)
	})
}

// resumes connects, waits for the first byte, behind which a ticket stands, and
// says whether a TLS session was resumed.
func resumes(ctx context.Context, tb testing.TB, c pb.SecureSocketServiceClient, s idle, addr string) bool {
	tb.Helper()
	resp := connectTo(ctx, tb, c, s, addr)
	wait, err := c.Wait(ctx, &pb.WaitRequest{
		SessionId: s.id, Condition: pb.WaitRequest_CONDITION_READY_READ, Generation: resp.GetSession().GetGeneration(), Timeout: durationpb.New(patience),
	})
	require.NoError(tb, err)
	require.True(tb, wait.GetReached())
	return resp.GetSession().GetTls().GetResumed()
}

func TestSecondConnectResumes(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		ca := tlstest.NewCA(t)
		addr := newTicketPeer(ca.Leaf(), version).serve(t)
		c := servertest.Start(t).Client(t)
		s := newIdle(t.Context(), t, c, ca)
		require.False(t, resumes(t.Context(), t, c, s, addr))
		require.True(t, resumes(t.Context(), t, c, s, addr))
		v := certificateStatus(t, c, s)
		require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, v.GetStatus())
		require.Len(t, v.GetReport().GetVerifiedChain(), 2, "judged again, in full")
		require.NotNil(t, getSession(t.Context(), t, c, s).GetPeerCertificate())
		require.True(t, resumes(t.Context(), t, c, newIdle(t.Context(), t, c, ca), addr), "another session of the same caller")
		stillWorksResumed(t, c, s, addr)
	})
}

// stillWorksResumed is stillWorks with a peer that speaks first.
func stillWorksResumed(t *testing.T, c pb.SecureSocketServiceClient, s idle, addr string) {
	t.Helper()
	resp := connectTo(t.Context(), t, c, s, addr)
	k := attach(t.Context(), t, c, s, 1)
	k.send(dataFrame(resp.GetSession().GetGeneration(), 0, "ping"))
	k.until(func() bool { return string(k.data) == ".ping" })
	require.True(t, resp.GetSession().GetTls().GetResumed())
}

func TestWhatIsNotResumed(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		ca := tlstest.NewCA(t)
		house := ca.Leaf()
		peer := newTicketPeer(ca.Leaf(), version, func(c *tls.Config) {
			c.ClientAuth, c.NextProtos = tls.RequestClientCert, []string{"a", "b"}
		})
		addr, elsewhere := peer.serve(t), peer.serve(t)
		k := newTrustClients(t, servertest.Start(t, systemOf(), operatorsIdentity(t, "house", house)))
		ctx := t.Context()
		pin := pinned(ca.Certificate.RawSubjectPublicKeyInfo).GetTls()
		own := ca.Leaf()
		ownKey, err := own.Identity.KeyPEM()
		require.NoError(t, err)
		change := func(m *pb.TlsSettings) func(s idle) {
			return func(s idle) {
				_, err := k.c.UpdateSession(ctx, &pb.UpdateSessionRequest{SessionId: s.id, Settings: &pb.SessionSettings{Tls: m}})
				require.NoError(t, err)
			}
		}
		no, name := false, "localhost"
		fresh := servertest.As(ctx, "first")
		require.False(t, resumes(fresh, t, k.c, newIdle(fresh, t, k.c, ca), addr))
		require.False(t, resumes(servertest.As(ctx, "second"), t, k.c, newIdle(servertest.As(ctx, "second"), t, k.c, ca), addr), "another caller's")
		require.True(t, resumes(fresh, t, k.c, newIdle(fresh, t, k.c, ca), addr))
		require.False(t, resumes(fresh, t, k.c, newIdle(fresh, t, k.c, ca), elsewhere), "another target's")

		for name, tc := range map[string]struct {
			change func(s idle)
			never  bool
		}{
			"an anchor added":        {func(s idle) { k.add(ctx, ofSession, s.id, true, tlstest.NewCA(t).DER()) }, false},
			"an intermediate added":  {func(s idle) { k.add(ctx, ofSession, s.id, false, tlstest.NewCA(t).Intermediate().DER()) }, false},
			"pins":                   {change(pin), false},
			"the base of trust":      {change(&pb.TlsSettings{Trust: &pb.TrustSettings{Base: pb.TrustSettings_BASE_NONE}}), false},
			"revocation":             {change(&pb.TlsSettings{Revocation: pb.RevocationMode_REVOCATION_MODE_OFF}), false},
			"the server name":        {change(&pb.TlsSettings{ServerName: &name}), false},
			"the names to verify":    {change(&pb.TlsSettings{VerifyNames: []string{"localhost"}}), false},
			"protocols":              {change(&pb.TlsSettings{AlpnProtocols: []string{"b"}}), false},
			"groups":                 {change(&pb.TlsSettings{Groups: []string{"secp384r1"}}), false},
			"an operator's identity": {change(&pb.TlsSettings{Identities: []*pb.Identity{byRef("house")}}), false},
			"a key":                  {change(&pb.TlsSettings{Identities: []*pb.Identity{{Source: &pb.Identity_KeyPair{KeyPair: &pb.KeyPair{CertificateChain: own.Chain, PrivateKey: ownKey}}}}}), false},
			"resumption":             {change(&pb.TlsSettings{Resumption: &no}), true},
		} {
			ctx = servertest.As(t.Context(), name)
			s := newIdle(ctx, t, k.c, ca)
			require.False(t, resumes(ctx, t, k.c, s, addr), name)
			require.True(t, resumes(ctx, t, k.c, s, addr), name)
			before := peer.offered.Load()
			tc.change(s)
			again := resumes(ctx, t, k.c, s, addr)
			if name == "the base of trust" { // the system has no anchors here: these are the same
				require.True(t, again, name)
				continue
			}
			require.False(t, again, name)
			require.Equal(t, before, peer.offered.Load(), "%s: no ticket was offered", name)
			require.Equal(t, !tc.never, resumes(ctx, t, k.c, s, addr), name)
		}
	})
}

// The identity that a resumed session stands for is the one of its settings.
func TestResumedIdentity(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		ca := tlstest.NewCA(t)
		house, second := ca.Leaf(), ca.Leaf()
		shown := make(chan []byte, 8)
		peer := newTicketPeer(ca.Leaf(), version, func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert })
		peer.cfg.VerifyConnection = func(cs tls.ConnectionState) error {
			shown <- cs.PeerCertificates[0].Raw
			return nil
		}
		addr := peer.serve(t)
		c := servertest.Start(t, operatorsIdentity(t, "house", house), operatorsIdentity(t, "second", second)).Client(t)
		with := func(ref string) idle {
			return newIdle(t.Context(), t, c, ca, &pb.SessionSettings{Tls: &pb.TlsSettings{Identities: []*pb.Identity{byRef(ref)}}})
		}
		for i, step := range []struct {
			ref     string
			leaf    []byte
			resumed bool
		}{
			{"house", house.Leaf.Raw, false}, {"house", house.Leaf.Raw, true}, {"second", second.Leaf.Raw, false},
			{"house", house.Leaf.Raw, true}, {"second", second.Leaf.Raw, true},
		} {
			require.Equal(t, step.resumed, resumes(t.Context(), t, c, with(step.ref), addr), i)
			require.Equal(t, step.leaf, <-shown, i)
		}
	})
}

func TestResumedChainIsJudgedAgain(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		var ahead atomic.Int64
		now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		ca := tlstest.NewCA(t)
		soon := tlstest.Validity(time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
		k := newTrustClients(t, servertest.Start(t, systemOf(), func(sc *session.Config, _ *server.Config) { sc.Now = now }))
		ctx := t.Context()
		s := newIdle(ctx, t, k.c, ca)
		peer := newTicketPeer(ca.Intermediate(soon).Leaf(), version)
		addr := peer.serve(t)
		require.False(t, resumes(ctx, t, k.c, s, addr))
		require.True(t, resumes(ctx, t, k.c, s, addr))
		require.EqualValues(t, 1, peer.offered.Load())
		ahead.Store(int64(2 * time.Hour))
		_, err := tryConnect(ctx, t, k.c, s, addr)
		require.Equal(t, "CERTIFICATE_INVALID_CHAIN", reasonOf(t, err))
		require.EqualValues(t, 1, peer.offered.Load(), "no ticket is offered whose chain has run out")
		ahead.Store(0)

		// A leaf that has expired is not resumed at all, which ends alike.
		expiring := newTicketPeer(ca.Leaf(soon), version).serve(t)
		require.False(t, resumes(ctx, t, k.c, s, expiring))
		require.True(t, resumes(ctx, t, k.c, s, expiring))
		ahead.Store(int64(2 * time.Hour))
		_, err = tryConnect(ctx, t, k.c, s, expiring)
		require.Equal(t, "CERTIFICATE_EXPIRED", reasonOf(t, err))
		require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_EXPIRED, certificateStatus(t, k.c, s).GetStatus())
		ahead.Store(0)

		// An anchor that is gone.
		k.set(ctx, ofSession, s.id)
		k.requireJudged(ctx, s, addr, false, "session")
		k.set(ctx, ofSession, s.id, ca.DER())
		k.requireJudged(ctx, s, addr, true, "session", ca)
	})
}

func TestKeyingMaterialOfAResumedConnection(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		ca := tlstest.NewCA(t)
		leaf := ca.Leaf()
		peer := newTicketPeer(leaf, version)
		addr := peer.serve(t)
		c := servertest.Start(t).Client(t)
		s := newIdle(t.Context(), t, c, ca)
		export := func(b pb.ExportKeyingMaterialRequest_ChannelBinding) []byte {
			resp, err := c.ExportKeyingMaterial(t.Context(), &pb.ExportKeyingMaterialRequest{SessionId: s.id, ChannelBinding: b})
			require.NoError(t, err)
			return resp.GetMaterial()
		}
		var exported [][]byte
		for _, resumed := range []bool{false, true} {
			require.Equal(t, resumed, resumes(t.Context(), t, c, s, addr))
			state := <-peer.states
			want, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", []byte{}, 32)
			require.NoError(t, err)
			require.Equal(t, want, export(bindingExporter))
			sum := sha256.Sum256(leaf.Leaf.Raw)
			require.Equal(t, sum[:], export(bindingEndPoint))
			if version == tls.VersionTLS12 {
				require.NotEmpty(t, state.TLSUnique)
				require.Equal(t, state.TLSUnique, export(bindingTLSUnique))
			}
			exported = append(exported, want)
		}
		require.NotEqual(t, exported[0], exported[1], "each connection has its own")
	})
}
