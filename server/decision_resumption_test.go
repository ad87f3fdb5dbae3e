package server_test

import (
	"crypto/tls"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// What was accepted is not remembered, although the TLS session is.
func TestAcceptingDoesNotSurviveResumption(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		ca := tlstest.NewCA(t)
		addr, ends := serveHandshakes(t, &tls.Config{
			// Not an expired leaf: crypto/tls resumes no session with one.
			Certificates: []tls.Certificate{ca.Leaf(tlstest.Names("other.example")).Certificate()}, MinVersion: version, MaxVersion: version,
		})
		c := servertest.Start(t).Client(t)
		s := newIdle(t.Context(), t, c, ca, asking())
		k := asked(attach(t.Context(), t, c, s, 1))
		var resumed []bool
		for generation := int64(1); generation <= 3; generation++ {
			done := connecting(t.Context(), t, c, s, addr)
			q := k.question(int(generation))
			require.Equal(t, generation, q.GetDecisionId())
			require.Equal(t, []pb.CertificateProblemCode{pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_HOST_NAME_MISMATCH}, codesOf(q.GetReport()))
			require.Equal(t, pb.CertificateReport_TRUST_BASIS_NONE, q.GetReport().GetTrustBasis())
			if generation == 3 {
				k.send(decisionFrame(&pb.CertificateDecision{DecisionId: q.GetDecisionId()}))
				require.Equal(t, "DECISION_REFUSED", reasonOf(t, outcome(t, done)))
				requireAlert(t, alertBadCertificate, ends.next(t))
				continue
			}
			k.send(decisionFrame(exactly(q)))
			require.NoError(t, outcome(t, done))
			require.NoError(t, ends.next(t))
			resumed = append(resumed, getSession(t.Context(), t, c, s).GetTls().GetResumed())
			// A ticket of TLS 1.3 comes with the first bytes.
			k.until(func() bool { return slices.Contains(k.story(generation), "socket_data") })
			k.data, k.attached.SocketDataOffset = nil, 0
			k.send(&pb.AttachRequest{Frame: &pb.AttachRequest_Close{Close: &pb.CloseSocket{Generation: generation}}})
			closedOf(k.caller, generation)
		}
		require.Equal(t, []bool{false, true}, resumed)

		// Nor does it help one who does not ask.
		strict := newIdle(t.Context(), t, c, ca, asking(func(s *pb.SessionSettings) { s.Tls.Override = pb.OverrideMode_OVERRIDE_MODE_STRICT }))
		_, err := tryConnect(t.Context(), t, c, strict, addr)
		require.Equal(t, "CERTIFICATE_PRINCIPAL_MISMATCH", reasonOf(t, err))
		requireAlert(t, alertBadCertificate, ends.next(t))
	})
}
