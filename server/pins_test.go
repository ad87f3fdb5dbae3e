package server_test

import (
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

func pinned(keys ...[]byte) *pb.SessionSettings {
	trust := &pb.TrustSettings{}
	for _, spki := range keys {
		sum := sha256.Sum256(spki)
		trust.SpkiSha256Pins = append(trust.SpkiSha256Pins, sum[:])
	}
	return &pb.SessionSettings{Tls: &pb.TlsSettings{Trust: trust}}
}

// problemsOf are the codes of a report, each with its depth.
func problemsOf(r *pb.CertificateReport) map[pb.CertificateProblemCode]int32 {
	out := make(map[pb.CertificateProblemCode]int32)
	for _, p := range r.GetProblems() {
		out[p.GetCode()] = p.GetDepth()
	}
	return out
}

func TestPins(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	between := ca.Intermediate()
	leaf := between.Leaf()
	addr := serveChain(t, leaf)
	strange := tlstest.NewCA(t).Certificate.RawSubjectPublicKeyInfo
	c := servertest.Start(t).Client(t)
	for name, keys := range map[string][][]byte{
		"the leaf's":         {leaf.Leaf.RawSubjectPublicKeyInfo},
		"the intermediate's": {between.Certificate.RawSubjectPublicKeyInfo},
		"the root's":         {ca.Certificate.RawSubjectPublicKeyInfo},
		"one of several":     {strange, leaf.Leaf.RawSubjectPublicKeyInfo},
	} {
		s := newIdle(t.Context(), t, c, ca, pinned(keys...))
		connectTo(t.Context(), t, c, s, addr)
		require.Empty(t, certificateStatus(t, c, s).GetReport().GetProblems(), name)
		require.Len(t, getSession(t.Context(), t, c, s).GetSettings().GetTls().GetTrust().GetSpkiSha256Pins(), len(keys), name)
	}

	for name, keys := range map[string][][]byte{
		"another key":                  {strange},
		"the certificate, not its key": {leaf.Leaf.Raw},
	} {
		s := newIdle(t.Context(), t, c, ca, pinned(keys...))
		_, err := tryConnect(t.Context(), t, c, s, addr)
		require.Equal(t, "CERTIFICATE_INVALID", reasonOf(t, err), name)
		v := certificateStatus(t, c, s)
		require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_INVALID, v.GetStatus(), name)
		require.Equal(t, map[pb.CertificateProblemCode]int32{pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_PIN_MISMATCH: 0}, problemsOf(v.GetReport()), name)
		require.Empty(t, v.GetReport().GetVerifiedChain(), name)

		// Without the pin it is good.
		_, err = c.UpdateSession(t.Context(), &pb.UpdateSessionRequest{SessionId: s.id, UpdateMask: mask("tls.trust")})
		require.NoError(t, err)
		stillWorks(t.Context(), t, c, s, addr)
	}
}

// A pin is no trust: a chain that reaches no anchor is refused with it, and one
// problem does not hide the other.
func TestPinsDoNotTrust(t *testing.T) {
	t.Parallel()
	stranger := tlstest.NewCA(t)
	leaf := stranger.Leaf(tlstest.Expired())
	addr := serveChain(t, leaf)
	c := servertest.Start(t).Client(t)
	s := newIdle(t.Context(), t, c, nil, pinned(leaf.Leaf.RawSubjectPublicKeyInfo))
	_, err := tryConnect(t.Context(), t, c, s, addr)
	require.Equal(t, "CERTIFICATE_UNTRUSTED_SIGNERS", reasonOf(t, err))

	s = newIdle(t.Context(), t, c, stranger, pinned(tlstest.NewCA(t).Certificate.RawSubjectPublicKeyInfo))
	_, err = tryConnect(t.Context(), t, c, s, addr)
	require.Equal(t, "CERTIFICATE_EXPIRED", reasonOf(t, err))
	require.Equal(t, map[pb.CertificateProblemCode]int32{
		pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_PIN_MISMATCH:        0,
		pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_CERTIFICATE_EXPIRED: 0,
	}, problemsOf(certificateStatus(t, c, s).GetReport()))
}
