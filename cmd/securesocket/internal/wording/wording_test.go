package wording

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "securesocket/gen/securesocket/v1"
)

func TestWords(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"PEER_RESET":          Reason(pb.ErrorReason_ERROR_REASON_PEER_RESET),
		"9999":                Reason(9999), // newer than this program
		"EXPIRED":             Status(pb.CertificateStatus_CERTIFICATE_STATUS_EXPIRED),
		"CERTIFICATE_EXPIRED": Problem(pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_CERTIFICATE_EXPIRED),
		"PEER_CLOSE_NOTIFY":   Cause(pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY),
		"host lookup":         State(pb.State_STATE_HOST_LOOKUP),
		"handshake":           Phase(pb.Phase_PHASE_HANDSHAKE),
		"":                    Phase(pb.Phase_PHASE_UNSPECIFIED),
		"TLS 1.3":             Version(pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_3),
		"[::1]:443":           Endpoint(&pb.Endpoint{Address: "::1", Port: 443}),
		"chain":               Depth(-1),
		"depth 0, leaf":       Depth(0),
		"depth 2":             Depth(2),
		"1.234 ms":            Milliseconds(1234499 * time.Nanosecond),
		"unknown":             Time(nil),
		"1 trust anchor":      Count(1, "trust anchor"),
		"0 trust anchors":     Count(0, "trust anchor"),
		"0102030405060708":    Fingerprint([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9}),
	} {
		require.Equal(t, want, got)
	}
	require.Empty(t, Fingerprint(nil))
}

func TestKey(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		oid  string
		bits int32
		want string
	}{
		{"1.2.840.113549.1.1.1", 2048, "RSA 2048"},
		{"1.2.840.10045.2.1", 256, "ECDSA 256"},
		{"1.3.101.112", 256, "Ed25519"},
		{"2.16.840.1.101.3.4.3.18", 15616, "ML-DSA-65"},
		{"1.2.3", 0, "key 1.2.3"},
		{"", 0, "unknown key"},
	} {
		require.Equal(t, c.want, Key(&pb.Certificate{SubjectPublicKeyAlgorithmOid: c.oid, SubjectPublicKeyBits: c.bits}))
	}
}

func TestRevocation(t *testing.T) {
	t.Parallel()
	at := timestamppb.New(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	require.Equal(t, "revoked by a revocation list, since 2026-01-02T03:04:05Z, as of 2026-01-02T03:04:05Z: keyCompromise",
		Revocation(&pb.RevocationResult{Outcome: pb.RevocationResult_OUTCOME_REVOKED, Source: pb.RevocationResult_SOURCE_CRL,
			RevokedTime: at, ThisUpdateTime: at, Detail: "keyCompromise"}))
	require.Equal(t, "not checked: nobody answers",
		Revocation(&pb.RevocationResult{Outcome: pb.RevocationResult_OUTCOME_NOT_CHECKED, Detail: "nobody answers"}))
}
