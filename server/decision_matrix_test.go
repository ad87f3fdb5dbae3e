package server_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
)

// dilemma is a caller that was asked about a chain with two problems.
type dilemma struct {
	*asker

	c       pb.SecureSocketServiceClient
	s       idle
	q       *pb.DecisionRequest
	addr    string
	outcome <-chan error // of the unary Connect
	giveUp  func()       // cancels it
}

// answer changes an answer that accepts exactly.
func (d *dilemma) answer(change func(*pb.CertificateDecision)) *pb.CertificateDecision {
	m := exactly(d.q)
	if change != nil {
		change(m)
	}
	return m
}

// frame and unary answer on the stream and by Decide.
func frame(change func(*pb.CertificateDecision)) func(*dilemma) {
	return func(d *dilemma) { d.send(decisionFrame(d.answer(change))) }
}

func unary(change func(*pb.CertificateDecision)) func(*dilemma) {
	return func(d *dilemma) { require.NoError(d.tb, decide(d.tb, d.c, d.s, d.answer(change))) }
}

func refusing(d *pb.CertificateDecision) { d.Accept, d.AcceptAll = nil, false }

// notTaken gives answers that are complained about and leave the question open.
func notTaken(reason pb.ErrorReason, change func(*pb.CertificateDecision)) func(*dilemma) {
	return func(d *dilemma) {
		require.Equal(d.tb, nameOf(reason), reasonOf(d.tb, decide(d.tb, d.c, d.s, d.answer(change))))
		d.send(decisionFrame(d.answer(change)))
		d.until(func() bool { return len(d.refused) == 1 })
		require.Equal(d.tb, reason, d.refused[0].GetFailure().GetReason())
		require.EqualValues(d.tb, 2, d.refused[0].GetFrameNumber())
		d.send(decisionFrame(d.answer(nil)))
	}
}

const shortConnect = 2 * time.Second

var verdicts = map[string]struct {
	act      func(*dilemma)
	reason   pb.ErrorReason // of Connect and of closed; 0: accepted
	settings func(*pb.SessionSettings)
}{
	"accept exactly": {act: frame(nil)},
	"in another order, and twice": {act: frame(func(d *pb.CertificateDecision) {
		slices.Reverse(d.Accept)
		d.Accept = append(d.Accept, d.Accept...)
	})},
	"accept all":                {act: frame(func(d *pb.CertificateDecision) { d.Accept, d.AcceptAll = nil, true })},
	"accept exactly, by Decide": {act: unary(nil)},
	"accept all, by Decide":     {act: unary(func(d *pb.CertificateDecision) { d.Accept, d.AcceptAll = nil, true })},
	"accept twice":              {act: func(d *dilemma) { frame(nil)(d); unary(nil)(d) }},
	"accept, and then refuse":   {act: func(d *dilemma) { unary(nil)(d); frame(refusing)(d) }},
	"for an id never asked":     {act: notTaken(pb.ErrorReason_ERROR_REASON_SESSION_STATE, func(d *pb.CertificateDecision) { d.DecisionId++ })},
	"for no id":                 {act: notTaken(pb.ErrorReason_ERROR_REASON_SESSION_STATE, func(d *pb.CertificateDecision) { d.DecisionId = 0 })},
	"for a negative id":         {act: notTaken(pb.ErrorReason_ERROR_REASON_SESSION_STATE, func(d *pb.CertificateDecision) { d.DecisionId = -1 })},
	"a hash that is too short":  {act: notTaken(pb.ErrorReason_ERROR_REASON_INVALID_FIELD, func(d *pb.CertificateDecision) { d.Accept[1].CertificateSha256 = make([]byte, 31) })},
	"refuse":                    {act: frame(refusing), reason: pb.ErrorReason_ERROR_REASON_DECISION_REFUSED},
	"refuse, by Decide":         {act: unary(refusing), reason: pb.ErrorReason_ERROR_REASON_DECISION_REFUSED},
	"refuse, and then accept":   {act: func(d *dilemma) { unary(refusing)(d); frame(nil)(d) }, reason: pb.ErrorReason_ERROR_REASON_DECISION_REFUSED},
	"one missing":               {act: frame(func(d *pb.CertificateDecision) { d.Accept = d.Accept[:1] }), reason: pb.ErrorReason_ERROR_REASON_DECISION_REFUSED},
	"one missing, the other twice": {
		act:    frame(func(d *pb.CertificateDecision) { d.Accept[1] = d.Accept[0] }),
		reason: pb.ErrorReason_ERROR_REASON_DECISION_REFUSED,
	},
	"one too many": {act: frame(func(d *pb.CertificateDecision) {
		d.Accept = append(d.Accept, &pb.CertificateProblemAcceptance{
			Code: pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_SELF_SIGNED_CERTIFICATE, CertificateSha256: d.Accept[0].CertificateSha256,
		})
	}), reason: pb.ErrorReason_ERROR_REASON_DECISION_REFUSED},
	"another certificate": {
		act:    frame(func(d *pb.CertificateDecision) { d.Accept[1].CertificateSha256[0] ^= 1 }),
		reason: pb.ErrorReason_ERROR_REASON_DECISION_REFUSED,
	},
	"no certificate": {
		act:    frame(func(d *pb.CertificateDecision) { d.Accept[0].CertificateSha256 = nil }),
		reason: pb.ErrorReason_ERROR_REASON_DECISION_REFUSED,
	},
	"another code": {
		act: frame(func(d *pb.CertificateDecision) {
			d.Accept[1].Code = pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_CERTIFICATE_NOT_YET_VALID
		}),
		reason: pb.ErrorReason_ERROR_REASON_DECISION_REFUSED,
	},
	"nothing": {
		act:      func(*dilemma) {},
		reason:   pb.ErrorReason_ERROR_REASON_DECISION_TIMEOUT,
		settings: func(s *pb.SessionSettings) { s.Tls.DecisionTimeout = durationpb.New(50 * time.Millisecond) },
	},
	"nothing, for connect_timeout": {
		act: func(d *dilemma) {
			require.LessOrEqual(d.tb, time.Until(d.q.GetDeadlineTime().AsTime()), shortConnect, "its own clock would have longer")
		},
		reason:   pb.ErrorReason_ERROR_REASON_DECISION_TIMEOUT,
		settings: func(s *pb.SessionSettings) { s.ConnectTimeout = durationpb.New(shortConnect) },
	},
}

// What a decision leads to, whoever gives it and however: the events and their
// order, the status, and what the peer sees.
func TestDecisions(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		for name, tc := range verdicts {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				addr, ends, ca := serveFlawed(t, version)
				c := servertest.Start(t).Client(t)
				settings := asking()
				if tc.settings != nil {
					tc.settings(settings)
				}
				s := newIdle(t.Context(), t, c, ca, settings)
				d := &dilemma{asker: asked(attach(t.Context(), t, c, s, 1)), c: c, s: s, addr: addr}
				d.outcome = connecting(t.Context(), t, c, s, addr)
				d.question1()
				tc.act(d)
				err := outcome(t, d.outcome)
				if tc.reason == 0 {
					require.NoError(t, err)
					d.accepted(ends)
				} else {
					require.Equal(t, nameOf(tc.reason), reasonOf(t, err))
					d.refusedFor(ends, tc.reason)
				}
				require.NoError(t, decide(t, c, s, everything(d.q)), "an answer to a question that is closed is ignored")
			})
		}
	})
}

var asFarAsTheQuestion = []string{
	"HOST_LOOKUP", "host_found", "CONNECTING", "tcp_connected", "mode_changed", "HANDSHAKING", "certificate_error", "decision_request",
}

// question1 waits for the question, and sees what is known by then.
func (d *dilemma) question1() {
	d.tb.Helper()
	d.q = d.question(1)
	require.Equal(d.tb, []pb.CertificateProblemCode{
		pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_HOST_NAME_MISMATCH, pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_CERTIFICATE_EXPIRED,
	}, codesOf(d.q.GetReport()))
	require.Equal(d.tb, asFarAsTheQuestion, d.story(1))
	ce := d.event("certificate_error").GetCertificateError()
	require.True(d.tb, ce.GetOverridable())
	requireSame(d.tb, ce.GetReport(), d.q.GetReport(), "the question's report")
	require.Equal(d.tb, pb.CertificateReport_TRUST_BASIS_NONE, d.q.GetReport().GetTrustBasis())
	d.claimed()
}

// claimed sees that the verdict is stored, and is no more than a claim.
func (d *dilemma) claimed() {
	d.tb.Helper()
	got := certificateStatus(d.tb, d.c, d.s)
	require.Equal(d.tb, pb.CertificateStatus_CERTIFICATE_STATUS_PRINCIPAL_MISMATCH, got.GetStatus())
	requireSame(d.tb, d.q.GetReport(), got.GetReport(), "the status's report")
}

func (d *dilemma) accepted(ends handshakes) {
	d.tb.Helper()
	sc := d.secure()
	require.NoError(d.tb, ends.next(d.tb))
	require.Equal(d.tb, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, sc.GetStatus())
	require.Equal(d.tb, pb.CertificateReport_TRUST_BASIS_OVERRIDE, sc.GetTrustBasis())
	got := certificateStatus(d.tb, d.c, d.s)
	require.Equal(d.tb, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, got.GetStatus())
	require.Equal(d.tb, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, got.GetReport().GetStatus())
	require.Equal(d.tb, pb.CertificateReport_TRUST_BASIS_OVERRIDE, got.GetReport().GetTrustBasis())
	require.Empty(d.tb, got.GetReport().GetVerifiedChain(), "it was not")
	require.Len(d.tb, got.GetReport().GetProblems(), len(d.q.GetReport().GetProblems()))
	for i, p := range d.q.GetReport().GetProblems() {
		requireSame(d.tb, p, got.GetReport().GetProblems()[i], "a problem that was accepted")
	}
	d.until(func() bool { return string(d.data) == "at once" })
	require.Equal(d.tb, append(slices.Clone(asFarAsTheQuestion), "ENCRYPTED", "secure_connected", "socket_data"), d.story(1))
	d.write([]byte("!"))
	d.until(func() bool { return string(d.data) == "at once!" })
	require.Equal(d.tb, "alive", d.alive())
}

// alive closes the socket and says whether the end is a clean one.
func (d *dilemma) alive() string {
	d.send(closeFrame(pb.CloseSocket_HOW_GRACEFUL))
	if f := d.closed().GetFailure(); f != nil {
		return f.String()
	}
	return "alive"
}

// refusedFor sees a refusal that is a failure of the connection.
func (d *dilemma) refusedFor(ends handshakes, reason pb.ErrorReason) {
	d.tb.Helper()
	closed := d.closed()
	require.Equal(d.tb, reason, closed.GetFailure().GetReason())
	require.Equal(d.tb, append(slices.Clone(asFarAsTheQuestion), "io_error", "UNCONNECTED", "closed"), d.story(1))
	ioError := d.event("io_error").GetIoError()
	requireSame(d.tb, closed.GetFailure(), ioError.GetFailure(), "the failure")
	peer := ends.next(d.tb)
	requireAlert(d.tb, alertBadCertificate, peer)
	require.Equal(d.tb, pb.Phase_PHASE_CERTIFICATE, ioError.GetPhase())
	require.Equal(d.tb, "PRINCIPAL_MISMATCH", closed.GetFailure().GetMetadata()["status"])
	require.Zero(d.tb, closed.GetReceivedBytes())
	require.Equal(d.tb, reason, getSession(d.tb.Context(), d.tb, d.c, d.s).GetLastError().GetReason())
	d.claimed()
	require.Empty(d.tb, d.refused)
}
