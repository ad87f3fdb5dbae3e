package server_test

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// The codes that Qt has too have Qt's numbers.
func TestProblemCodesHaveQtsNumbers(t *testing.T) {
	t.Parallel()
	qts := map[string]int32{ // QSslError::SslError, Qt 4.3
		"UNABLE_TO_GET_ISSUER_CERTIFICATE": 1, "UNABLE_TO_DECRYPT_CERTIFICATE_SIGNATURE": 2, "UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY": 3,
		"CERTIFICATE_SIGNATURE_FAILED": 4, "CERTIFICATE_NOT_YET_VALID": 5, "CERTIFICATE_EXPIRED": 6, "INVALID_NOT_BEFORE_FIELD": 7,
		"INVALID_NOT_AFTER_FIELD": 8, "SELF_SIGNED_CERTIFICATE": 9, "SELF_SIGNED_CERTIFICATE_IN_CHAIN": 10,
		"UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE": 11, "UNABLE_TO_VERIFY_FIRST_CERTIFICATE": 12, "CERTIFICATE_REVOKED": 13,
		"INVALID_CA_CERTIFICATE": 14, "PATH_LENGTH_EXCEEDED": 15, "INVALID_PURPOSE": 16, "CERTIFICATE_UNTRUSTED": 17,
		"CERTIFICATE_REJECTED": 18, "SUBJECT_ISSUER_MISMATCH": 19, "AUTHORITY_ISSUER_SERIAL_NUMBER_MISMATCH": 20,
		"NO_PEER_CERTIFICATE": 21, "HOST_NAME_MISMATCH": 22, "NO_SSL_SUPPORT": 23,
	}
	ours := 0
	for number, full := range pb.CertificateProblemCode_name {
		name := full[len("CERTIFICATE_PROBLEM_CODE_"):]
		if want, ok := qts[name]; ok {
			ours++
			require.Equal(t, want, number, name)
			continue
		}
		require.True(t, number == 0 || number >= 99, "%s has a number of Qt's", name)
	}
	require.Positive(t, ours)
}

// What cannot be read or decoded in a certificate is a problem of it, whatever Qt's name for it is.
func TestUnreadablePartsOfACertificate(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	between := ca.Intermediate()
	leaf := between.Leaf()
	edited := func(der, old, replacement []byte, nth int) []byte {
		at := -1
		for range nth {
			next := bytes.Index(der[at+1:], old)
			require.GreaterOrEqual(t, next, 0)
			at += 1 + next
		}
		return append(append(bytes.Clone(der[:at]), replacement...), der[at+len(old):]...)
	}
	notBefore := []byte(leaf.Leaf.NotBefore.UTC().Format("060102150405Z"))
	notAfter := []byte(leaf.Leaf.NotAfter.UTC().Format("060102150405Z"))
	ecKey := []byte{0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01} // id-ecPublicKey
	v := newValidator(t)
	for name, tc := range map[string]struct {
		chain  [][]byte
		status pb.CertificateStatus
		code   pb.CertificateProblemCode
		depth  int32
	}{
		"notBefore": {[][]byte{edited(leaf.Leaf.Raw, notBefore, []byte("9913010000xxZ"), 1), between.DER()},
			pb.CertificateStatus_CERTIFICATE_STATUS_INVALID, pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_MALFORMED_CERTIFICATE, 0},
		"notAfter": {[][]byte{edited(leaf.Leaf.Raw, notAfter, []byte("9913010000xxZ"), 1), between.DER()},
			pb.CertificateStatus_CERTIFICATE_STATUS_INVALID, pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_MALFORMED_CERTIFICATE, 0},
		"the issuer's public key": {[][]byte{leaf.Leaf.Raw, edited(between.DER(), ecKey, []byte{0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x7f}, 1)},
			pb.CertificateStatus_CERTIFICATE_STATUS_INVALID_CHAIN, pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_CERTIFICATE_SIGNATURE_FAILED, 0},
	} {
		r := v.report(about(ca, tc.chain))
		require.Equal(t, tc.status, r.GetStatus(), "%s: %v", name, r.GetProblems())
		require.Equal(t, tc.code, r.GetProblems()[len(r.GetProblems())-1].GetCode(), "%s: %v", name, r.GetProblems())
		require.Equal(t, tc.depth, r.GetProblems()[len(r.GetProblems())-1].GetDepth(), "%s: %v", name, r.GetProblems())
	}
}

// An issuer is one by its name and by its key identifier: a certificate that has but one of them is none.
func TestIssuersOfAnotherNameOrKey(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	leaf := ca.Intermediate(tlstest.CommonName("Between")).Leaf()
	sum := sha256.Sum256(leaf.Leaf.Raw)
	v := newValidator(t)
	for name, other := range map[string]*tlstest.CA{
		"another name": ca.Intermediate(tlstest.CommonName("Other")),
		"another key":  ca.Intermediate(tlstest.CommonName("Between")),
	} {
		r := v.report(about(ca, [][]byte{leaf.Leaf.Raw, other.DER()}))
		require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_UNTRUSTED_SIGNERS, r.GetStatus(), name)
		require.Equal(t, map[pb.CertificateProblemCode]int32{
			pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE: 0,
			pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_UNABLE_TO_VERIFY_FIRST_CERTIFICATE:     0,
		}, problemsOf(r), name)
		for _, p := range r.GetProblems() {
			require.Equal(t, sum[:], p.GetCertificateSha256(), "%s: whose problem it is", name)
			require.NotEmpty(t, p.GetMessage(), name)
		}
	}
}
