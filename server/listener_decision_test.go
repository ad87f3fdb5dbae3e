package server_test

import (
	"crypto/tls"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// decidingListener asks its owner about clients that nobody vouches for.
func decidingListener(t *testing.T, opts []servertest.Option, change ...func(*pb.ListenRequest)) *listenerWorld {
	t.Helper()
	return secureListener(t, opts, append([]func(*pb.ListenRequest){
		level(pb.ClientAuth_CLIENT_AUTH_REQUIRE_AND_VERIFY), settling(fromNobody),
		settling(func(s *pb.SessionSettings) { s.Tls.Override = pb.OverrideMode_OVERRIDE_MODE_ASK }),
	}, change...)...)
}

// arrivingPeer is a client whose handshake is under way.
type arrivingPeer struct {
	conn *tls.Conn
	ends chan error
}

// arrive begins a handshake and waits for nothing.
func (w *listenerWorld) arrive(change ...func(*tls.Config)) arrivingPeer {
	w.tb.Helper()
	ctx := w.tb.Context()
	p := arrivingPeer{tls.Client(w.dialPlain(), w.clientConfig(change...)), make(chan error, 1)}
	go func() { p.ends <- p.conn.HandshakeContext(ctx) }()
	return p
}

// end is how the handshake ended for the peer.
func (p arrivingPeer) end(tb testing.TB) error {
	tb.Helper()
	return peerSees(tb, p.conn, handshakes(p.ends).next(tb))
}

func (w *listenerWorld) decide(got *pb.AcceptResponse, d *pb.CertificateDecision) error {
	w.tb.Helper()
	return decide(w.tb, w.c, idle{got.GetSession().GetSessionId(), got.GetResumeToken()}, d)
}

// A session is given out for the decision, before its handshake is over.
func TestDecisionsAboutClients(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		w := decidingListener(t, nil)
		a := w.accept(0)
		asks := func() (arrivingPeer, *pb.AcceptResponse) {
			p := w.arrive(onlyVersion(version), showing(clientLeaf(tlstest.NewCA(t), tlstest.Expired())))
			got := a.next()
			require.Equal(t, pb.State_STATE_HANDSHAKING, got.GetSession().GetState())
			require.Equal(t, pb.Mode_MODE_TLS_SERVER, got.GetSession().GetMode())
			return p, got
		}

		p, got := asks()
		k := asked(w.attach(got))
		q := k.question(1)
		require.NotEmpty(t, q.GetReport().GetProblems())
		k.send(decisionFrame(exactly(q)))
		sc := k.secure()
		require.Equal(t, pb.CertificateReport_TRUST_BASIS_OVERRIDE, sc.GetTrustBasis())
		require.True(t, sc.GetTls().GetClientCertificateShown())
		require.NoError(t, handshakes(p.ends).next(t))
		w.talks(p.conn, k.caller)
		require.Equal(t, []string{"tcp_connected", "mode_changed", "HANDSHAKING", "certificate_error", "ENCRYPTED", "secure_connected"}, k.kinds())

		p, got = asks()
		require.NoError(t, w.decide(got, &pb.CertificateDecision{DecisionId: 1, AcceptAll: true}))
		require.NoError(t, handshakes(p.ends).next(t))
		w.pending(0) // by the decision
		k2 := w.attach(got)
		require.Equal(t, pb.CertificateReport_TRUST_BASIS_OVERRIDE, k2.secure().GetTrustBasis())
		w.talks(p.conn, k2)

		p, got = asks()
		k = asked(w.attach(got))
		k.send(decisionFrame(&pb.CertificateDecision{DecisionId: k.question(1).GetDecisionId()}))
		require.Equal(t, pb.ErrorReason_ERROR_REASON_DECISION_REFUSED, k.closed().GetFailure().GetReason())
		require.NoError(t, k.end())
		requireAlert(t, alertBadCertificate, p.end(t))

		p, got = asks()
		require.NoError(t, w.decide(got, &pb.CertificateDecision{DecisionId: 1}))
		requireAlert(t, alertBadCertificate, p.end(t))

		p, got = asks()
		require.Equal(t, "SESSION_STATE", reasonOf(t, w.decide(got, &pb.CertificateDecision{DecisionId: 2, AcceptAll: true})), "never asked")
		_, err := w.c.DeleteSession(t.Context(), &pb.DeleteSessionRequest{SessionId: got.GetSession().GetSessionId()})
		require.NoError(t, err)
		require.Error(t, p.end(t))
		w.pending(0)
		w.nothingMore(a)
		w.until(all(2, pb.State_STATE_ENCRYPTED)) // those that were accepted
	})
}

// Nobody answers: the client is refused, and nothing is left.
func TestNobodyDecidesAboutAClient(t *testing.T) {
	t.Parallel()
	soon := settling(func(s *pb.SessionSettings) { s.Tls.DecisionTimeout = durationpb.New(300 * time.Millisecond) })
	bothVersions(t, func(t *testing.T, version uint16) {
		w := decidingListener(t, claimingSoon, soon)
		a := w.accept(0)
		p := w.arrive(onlyVersion(version), showing(clientLeaf(tlstest.NewCA(t))))
		k := w.attach(a.next())
		require.Equal(t, pb.ErrorReason_ERROR_REASON_DECISION_TIMEOUT, k.closed().GetFailure().GetReason())
		requireAlert(t, alertBadCertificate, p.end(t))

		p = w.arrive(onlyVersion(version), showing(clientLeaf(tlstest.NewCA(t))))
		a.next() // and is not claimed
		requireAlert(t, alertBadCertificate, p.end(t))
		w.pending(0)
		w.empty()
		w.nothingMore(a)
	})
}

// What nobody was told of is not kept for him, resumable or not: its place in the
// backlog is for others.
func TestUntoldHandshakesLeaveNothing(t *testing.T) {
	t.Parallel()
	soon := settling(func(s *pb.SessionSettings) { s.Tls.DecisionTimeout = durationpb.New(300 * time.Millisecond) })
	for name, change := range map[string]func(*pb.ListenRequest){"resumable": resumably, "not resumable": func(*pb.ListenRequest) {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := decidingListener(t, claimingSoon, soon, backlog(1), change)
			for range 2 { // the second has the place of the first
				p := w.arrive(showing(clientLeaf(tlstest.NewCA(t))))
				requireAlert(t, alertBadCertificate, p.end(t))
			}
			w.empty()
			w.pending(0)
			w.close()
		})
	}
}

// The key of the listener may be its owner's: he is asked to sign.
func TestListenerWithACallersKey(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		ca := tlstest.NewCA(t)
		leaf := ca.Leaf(tlstest.Names(listenerName))
		w := plainListener(t, nil, func(m *pb.ListenRequest) {
			m.StartTlsOnAccept, m.Settings = true, having(callerSigner(leaf))
		})
		w.ca = ca
		a := w.accept(0)
		p := w.arrive(onlyVersion(version))
		k := asked(w.attach(a.next()))
		k.send(signatureFrame(sign(t, leaf.Key, k.signRequest(1))))
		k.secure()
		require.NoError(t, handshakes(p.ends).next(t))
		w.talks(p.conn, k.caller)
		w.nothingMore(a)
	})
}
