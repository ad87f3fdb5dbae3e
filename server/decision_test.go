package server_test

import (
	"crypto/tls"
	"slices"
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

func TestAQuestionIsOfferedAgain(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		addr, ends, ca := serveFlawed(t, version)
		c := servertest.Start(t).Client(t)
		s := newIdle(t.Context(), t, c, ca, asking())
		begin(t, c, s, addr)

		first := asked(attach(t.Context(), t, c, s, 1))
		q := first.question(1)
		second := asked(attach(t.Context(), t, c, s, 2))
		requireSame(t, q, second.question(1), "the second stream")
		require.Equal(t, "SUPERSEDED", reasonOf(t, first.end()))
		third := asked(attach(t.Context(), t, c, s, 3))
		requireSame(t, q, third.question(1), "the third stream")

		third.send(decisionFrame(exactly(q)))
		third.secure()
		require.NoError(t, ends.next(t))
		require.Equal(t, []string{
			"HOST_LOOKUP", "host_found", "CONNECTING", "tcp_connected", "mode_changed", "HANDSHAKING", "certificate_error",
			"decision_request", "ENCRYPTED", "secure_connected",
		}, third.story(1), "events are told again too")

		// The question is closed: the next stream is not asked.
		fourth := asked(attach(t.Context(), t, c, s, 4))
		fourth.send(closeFrame(pb.CloseSocket_HOW_GRACEFUL))
		closedOf(fourth.caller, 1)
		require.NotContains(t, fourth.story(1), "decision_request")
	})
}

// A superseded stream has no say.
func TestTheAnswerOfASupersededStream(t *testing.T) {
	t.Parallel()
	addr, ends, ca := serveFlawed(t, tls.VersionTLS13)
	c := servertest.Start(t).Client(t)
	s := newIdle(t.Context(), t, c, ca, asking())
	begin(t, c, s, addr)
	first := asked(attach(t.Context(), t, c, s, 1))
	q := first.question(1)
	second := asked(attach(t.Context(), t, c, s, 2))
	second.question(1)
	_ = first.stream.Send(decisionFrame(everything(q))) // the stream may have ended
	require.Equal(t, "SUPERSEDED", reasonOf(t, first.end()))
	second.send(decisionFrame(&pb.CertificateDecision{DecisionId: q.GetDecisionId()}))
	require.Equal(t, pb.ErrorReason_ERROR_REASON_DECISION_REFUSED, second.closed().GetFailure().GetReason())
	requireAlert(t, alertBadCertificate, ends.next(t))
}

func TestTheHandshakeClockStandsStillForAQuestion(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		const limit = 2 * time.Second
		addr, ends, ca := serveFlawed(t, version)
		k := asked(open(t, servertest.Start(t).Client(t), addr, ca, askingOpen(func(s *pb.SessionSettings) {
			s.Tls.HandshakeTimeout = durationpb.New(limit)
		})))
		q := k.question(1)
		require.Greater(t, time.Until(q.GetDeadlineTime().AsTime()), limit, "it is not the handshake's deadline")
		<-time.After(limit + limit/4)
		k.send(decisionFrame(exactly(q)))
		k.secure()
		require.NoError(t, ends.next(t))
	})
}

func TestStrictDoesNotAsk(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		for name, mode := range map[string]pb.OverrideMode{
			"by default": pb.OverrideMode_OVERRIDE_MODE_UNSPECIFIED, "by name": pb.OverrideMode_OVERRIDE_MODE_STRICT,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				addr, ends, ca := serveFlawed(t, version)
				c := servertest.Start(t).Client(t)
				k := asked(open(t, c, addr, ca, askingOpen(func(s *pb.SessionSettings) { s.Tls.Override = mode })))
				refusedWithoutAsking(t, c, k, pb.ErrorReason_ERROR_REASON_CERTIFICATE_PRINCIPAL_MISMATCH)
				requireAlert(t, alertBadCertificate, ends.next(t))
			})
		}
	})
}

// refusedWithoutAsking follows a connect whose chain nobody is asked about.
func refusedWithoutAsking(t *testing.T, c pb.SecureSocketServiceClient, k *asker, reason pb.ErrorReason) {
	t.Helper()
	closed := k.closed()
	require.Equal(t, reason, closed.GetFailure().GetReason())
	story := k.story(1)
	require.Equal(t, []string{"certificate_error", "io_error", "UNCONNECTED", "closed"}, story[slices.Index(story, "HANDSHAKING")+1:])
	ce := k.event("certificate_error").GetCertificateError()
	require.False(t, ce.GetOverridable())
	s := idle{id: k.attached.GetSession().GetSessionId()}
	requireSame(t, ce.GetReport(), certificateStatus(t, c, s).GetReport(), "the report")
	require.Equal(t, "SESSION_STATE", reasonOf(t, decide(t, c, s, &pb.CertificateDecision{DecisionId: 1, AcceptAll: true})), "nothing was asked")
}

// What was not judged to its end cannot be accepted.
func TestAChainThatIsTooLargeIsNotOverridable(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		for name, chain := range map[string]func(ca *tlstest.CA) *tlstest.Identity{
			"certificates": func(ca *tlstest.CA) *tlstest.Identity {
				leaf := ca.Leaf()
				for range 16 {
					leaf.Append(ca.Intermediate().DER())
				}
				return leaf
			},
			"bytes": func(ca *tlstest.CA) *tlstest.Identity { return ca.Leaf(tlstest.Padding(33 << 10)) },
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				ca := tlstest.NewCA(t)
				addr, ends := serveHandshakes(t, &tls.Config{
					Certificates: []tls.Certificate{chain(ca).Certificate()}, MinVersion: version, MaxVersion: version,
				})
				c := servertest.Start(t).Client(t)
				k := asked(open(t, c, addr, ca, askingOpen()))
				refusedWithoutAsking(t, c, k, pb.ErrorReason_ERROR_REASON_CERTIFICATE_UNDETERMINED)
				require.Contains(t, codesOf(k.event("certificate_error").GetCertificateError().GetReport()),
					pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_CHAIN_TOO_LARGE)
				requireAlert(t, alertBadCertificate, ends.next(t))
			})
		}
	})
}

func TestAnImpostorIsNeverTrusted(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		ca := tlstest.NewCA(t)
		victim, impostor := ca.Leaf(tlstest.Expired()), tlstest.SelfSigned(t)
		addr, ends := serveHandshakes(t, &tls.Config{
			// Both keys are of one kind, and crypto/tls compares no more.
			Certificates: []tls.Certificate{{Certificate: victim.Chain, PrivateKey: impostor.Key}},
			MinVersion:   version, MaxVersion: version,
		})
		c := servertest.Start(t).Client(t)
		k := asked(open(t, c, addr, ca, askingOpen()))
		q := k.question(1)
		k.send(decisionFrame(exactly(q)))
		closed := k.closed()
		require.Equal(t, pb.ErrorReason_ERROR_REASON_PEER_MISBEHAVED, closed.GetFailure().GetReason())
		require.NotContains(t, k.kinds(), "secure_connected")
		require.NotContains(t, k.kinds(), "ENCRYPTED")
		s := idle{id: k.attached.GetSession().GetSessionId()}
		got := certificateStatus(t, c, s)
		require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_EXPIRED, got.GetStatus())
		requireSame(t, q.GetReport(), got.GetReport(), "what was claimed, and no more")
		require.Nil(t, getSession(t.Context(), t, c, s).GetPeerCertificate())
		require.Error(t, ends.next(t))
	})
}

func TestTheOperatorForbidsToAsk(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	host, port := hostPort(t, addr)
	c := servertest.Start(t, func(sc *session.Config, _ *server.Config) { sc.ForbidOverride = true }).Client(t)
	_, err := c.CreateSession(t.Context(), &pb.CreateSessionRequest{Settings: asking()})
	require.Equal(t, "NOT_ALLOWED", reasonOf(t, err))
	s := newIdle(t.Context(), t, c, ca)
	_, err = c.UpdateSession(t.Context(), &pb.UpdateSessionRequest{SessionId: s.id, Settings: asking()})
	require.Equal(t, "NOT_ALLOWED", reasonOf(t, err))
	require.Equal(t, pb.OverrideMode_OVERRIDE_MODE_STRICT, getSession(t.Context(), t, c, s).GetEffectiveSettings().GetTls().GetOverride())
	k := start(t.Context(), t, c, openFrame(&pb.Open{Host: host, Port: port, Settings: asking()}))
	require.Equal(t, "NOT_ALLOWED", reasonOf(t, k.end()))
	require.Nil(t, k.attached)
	list, err := c.ListSessions(t.Context(), &pb.ListSessionsRequest{})
	require.NoError(t, err)
	require.Len(t, list.GetSessions(), 1)
	stillWorks(t.Context(), t, c, s, addr)
}

// No time to answer is a time that has run out, and not an answer.
func TestADecisionTimeoutOfZero(t *testing.T) {
	t.Parallel()
	addr, ends, ca := serveFlawed(t, tls.VersionTLS13)
	k := asked(open(t, servertest.Start(t).Client(t), addr, ca, askingOpen(func(s *pb.SessionSettings) {
		s.Tls.DecisionTimeout = durationpb.New(0)
	})))
	require.Equal(t, pb.ErrorReason_ERROR_REASON_DECISION_TIMEOUT, k.closed().GetFailure().GetReason())
	requireAlert(t, alertBadCertificate, ends.next(t))
}
