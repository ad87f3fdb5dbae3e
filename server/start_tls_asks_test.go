package server_test

import (
	"crypto/tls"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// A chain with problems is asked about within StartTls as within Connect, and the handshake's clock stands still meanwhile.
func TestDecisionsWithinStartTLS(t *testing.T) {
	t.Parallel()
	handshakeFor := func(d time.Duration) func(*pb.SessionSettings) {
		return func(s *pb.SessionSettings) { s.Tls.HandshakeTimeout = durationpb.New(d) }
	}
	for name, tc := range map[string]struct {
		change func(*pb.SessionSettings)
		answer func(t *testing.T, c pb.SecureSocketServiceClient, a *asker, q *pb.DecisionRequest)
		want   string
	}{
		"exactly": {handshakeFor(2 * time.Second), func(t *testing.T, c pb.SecureSocketServiceClient, a *asker, q *pb.DecisionRequest) {
			resp, err := c.Wait(t.Context(), &pb.WaitRequest{
				SessionId: a.session().id, Condition: pb.WaitRequest_CONDITION_ENCRYPTED, Timeout: durationpb.New(2500 * time.Millisecond),
			})
			require.NoError(t, err)
			require.True(t, resp.GetTimedOut(), "longer than a handshake may take")
			a.send(decisionFrame(exactly(q)))
		}, ""},
		"Decide": {handshakeFor(patience), func(t *testing.T, c pb.SecureSocketServiceClient, a *asker, q *pb.DecisionRequest) {
			require.NoError(t, decide(t, c, a.session(), everything(q)))
		}, ""},
		"no": {handshakeFor(patience), func(_ *testing.T, _ pb.SecureSocketServiceClient, a *asker, q *pb.DecisionRequest) {
			a.send(decisionFrame(&pb.CertificateDecision{DecisionId: q.GetDecisionId()}))
		}, "DECISION_REFUSED"},
		"no answer": {func(s *pb.SessionSettings) { s.Tls.DecisionTimeout = durationpb.New(time.Second) },
			func(*testing.T, pb.SecureSocketServiceClient, *asker, *pb.DecisionRequest) {}, "DECISION_TIMEOUT"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachEntrance(t, func(t *testing.T, by entrance) {
				addr, ends, ca := serveFlawed(t, tls.VersionTLS13)
				c := servertest.Start(t).Client(t)
				a := asked(open(t, c, addr, ca, askingOpen(tc.change), plainly))
				a.until(func() bool { return last(a.kinds()) == "CONNECTED" })
				end := by.begin(a.caller, c, asClient(0, 0))
				if by.name == byCall.name { // beside the call it might come too early
					a.question(1)
				}
				a.write([]byte("secret"))
				q := a.question(1)
				require.Equal(t, []string{"HOST_LOOKUP", "host_found", "CONNECTING", "tcp_connected", "CONNECTED", "mode_changed", "HANDSHAKING", "certificate_error",
					"decision_request"}, a.story(1))
				require.Zero(t, getSession(t.Context(), t, c, a.session()).GetSentBytes(), "nothing leaves before the answer")
				tc.answer(t, c, a, q)
				require.Equal(t, tc.want, end())
				if tc.want == "" {
					require.NoError(t, ends.next(t))
					a.until(func() bool { return string(a.data) == "at oncesecret" })
					a.finish()
					require.Nil(t, a.closed().GetFailure())
					return
				}
				requireAlert(t, alertBadCertificate, ends.next(t))
				closed := a.closed()
				require.Equal(t, tc.want, nameOf(closed.GetFailure().GetReason()))
				require.Zero(t, closed.GetSentBytes())
			})
		})
	}
}

// A key that the caller keeps is asked for within StartTls, in both roles.
func TestSignaturesWithinStartTLS(t *testing.T) {
	t.Parallel()
	t.Run("client", func(t *testing.T) {
		t.Parallel()
		eachEntrance(t, func(t *testing.T, by entrance) {
			clients := tlstest.NewCA(t)
			id := clientLeaf(clients)
			d := serveDoorman(t, tls.VersionTLS13, tls.RequireAndVerifyClientCert, clients)
			c := servertest.Start(t).Client(t)
			schemes := fitting(id.Key, tls.VersionTLS13)
			k := asked(open(t, c, d.addr, d.ca, plainly, func(m *pb.Open) { m.Settings = having(callerSigner(id, schemes...)) }))
			k.until(func() bool { return last(k.kinds()) == "CONNECTED" })
			end := by.begin(k.caller, c, asClient(0, 0))
			k.send(signatureFrame(sign(t, id.Key, k.signRequest(1))))
			require.Empty(t, end())
			works(k)
			d.admits(t, id)
		})
	})
	t.Run("server", func(t *testing.T) {
		t.Parallel()
		for name, signs := range map[string]bool{"signed": true, "not signed": false} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				eachEntrance(t, func(t *testing.T, by entrance) {
					var id *tlstest.Identity
					p := openPorch(t, func(s *pb.SessionSettings) {
						ca := tlstest.NewCA(t)
						id = ca.Leaf(tlstest.Names("porch.test"))
						s.Tls.Identities = []*pb.Identity{callerSigner(id, fitting(id.Key, tls.VersionTLS13)...)}
						if !signs {
							s.Tls.HandshakeTimeout = durationpb.New(2 * time.Second)
						}
					})
					g, s := p.visit(t)
					g.config.InsecureSkipVerify = true //nolint:gosec // whether it verifies is not the question
					k := asked(attach(t.Context(), t, p.c, s, 1))
					hello, secured, done := g.hello()
					g.say(hello)
					end := by.begin(k.caller, p.c, asServer(0, 0))
					takingBack(k.caller, 0)
					r := k.signRequest(1)
					require.True(t, slices.Contains(k.story(1), "sign_request"))
					if !signs {
						require.Equal(t, "SIGNATURE_FAILED", end())
						require.Error(t, <-done)
						return
					}
					k.send(signatureFrame(sign(t, id.Key, r)))
					require.Empty(t, end())
					require.NoError(t, <-done)
					_, err := secured.Write([]byte("x"))
					require.NoError(t, err)
					k.until(func() bool { return string(k.data) == "x" })
					require.NoError(t, secured.Close())
				})
			})
		}
	})
}
