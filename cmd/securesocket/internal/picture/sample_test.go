package picture

import (
	"crypto/sha256"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
)

// hostile tries to break out of a line, of a terminal, of XML and of its direction.
const hostile = "CN=a\x1b[31m]]></text><script>alert('1')</script>\"&\u202e\r\nfake: line\x00\u009b\xff"

var at = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func certificate(subject, issuer string) *pb.Certificate {
	sum := sha256.Sum256([]byte(subject))
	return &pb.Certificate{
		Der: []byte(subject), Sha256: sum[:],
		Subject: &pb.DistinguishedName{Text: subject}, Issuer: &pb.DistinguishedName{Text: issuer},
		NotBeforeTime: timestamppb.New(at), NotAfterTime: timestamppb.New(at.AddDate(1, 0, 0)),
		SubjectPublicKeyAlgorithmOid: "1.2.840.10045.2.1", SubjectPublicKeyBits: 256,
		DnsNames: []string{"www.example"}, IpAddresses: []string{"192.0.2.1"},
	}
}

func span(start, took time.Duration) *pb.Span {
	return &pb.Span{Start: durationpb.New(start), Duration: durationpb.New(took)}
}

// trustedReply is a peer without a flaw: a leaf and an intermediate are sent, the root is in the trust store.
func trustedReply() *pb.ProbeResponse {
	root, middle, leaf := certificate("CN=Root", "CN=Root"), certificate("CN=Middle", "CN=Root"), certificate("CN=www.example", "CN=Middle")
	path := []*pb.Certificate{leaf, middle, root}
	return &pb.ProbeResponse{
		Remote: &pb.Endpoint{Address: "192.0.2.1", Port: 443},
		Tls: &pb.TlsState{Version: pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_3, CipherSuite: "TLS_AES_128_GCM_SHA256",
			Group: "X25519MLKEM768", AlpnProtocol: "h2", ServerName: "www.example", Cipher: &pb.CipherInfo{UsedBits: 128}},
		Report: &pb.CertificateReport{
			Status:     pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED,
			TrustBasis: pb.CertificateReport_TRUST_BASIS_VALIDATED,
			PeerChain:  []*pb.Certificate{leaf, middle}, VerifiedChain: path, JudgedPath: path,
			VerifyName: "www.example", ValidateTime: timestamppb.New(at), StoreName: "system",
			Warnings: []string{"the leaf expires in 9 days"},
			Revocation: []*pb.RevocationResult{
				{Depth: new(int32(0)), Outcome: pb.RevocationResult_OUTCOME_GOOD, Source: pb.RevocationResult_SOURCE_STAPLE,
					ThisUpdateTime: timestamppb.New(at), NextUpdateTime: timestamppb.New(at.AddDate(0, 0, 7))},
				{Depth: new(int32(1)), Outcome: pb.RevocationResult_OUTCOME_NOT_CHECKED, Detail: "it names no responder"},
			},
		},
		Timeline: &pb.Timeline{
			Policy: span(0, 20*time.Microsecond), Dns: span(20*time.Microsecond, 12*time.Millisecond),
			Tcp: span(12*time.Millisecond, 20*time.Millisecond), Handshake: span(32*time.Millisecond, 48*time.Millisecond),
			Validation: span(55*time.Millisecond, 20*time.Millisecond), Revocation: span(56*time.Millisecond, 19*time.Millisecond),
		},
	}
}

func problem(code pb.CertificateProblemCode, depth int32, message, hint string) *pb.CertificateProblem {
	return &pb.CertificateProblem{Code: code, Depth: &depth, Message: message, Hint: hint}
}

// refusedReply is a peer whose leaf has two flaws and whose intermediate is missing.
func refusedReply() *pb.ProbeResponse {
	leaf, other := certificate("CN=www.example", "CN=Middle"), certificate("CN=Other", "CN=Other Root")
	reply := trustedReply()
	reply.Tls, reply.FailedPhase = nil, pb.Phase_PHASE_CERTIFICATE
	reply.Timeline.Revocation = nil
	reply.Report = &pb.CertificateReport{
		Status: pb.CertificateStatus_CERTIFICATE_STATUS_UNTRUSTED_SIGNERS, TrustBasis: pb.CertificateReport_TRUST_BASIS_NONE,
		PeerChain: []*pb.Certificate{leaf, other}, JudgedPath: []*pb.Certificate{leaf}, VerifyName: "www.example",
		Problems: []*pb.CertificateProblem{
			problem(pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_HOST_NAME_MISMATCH, 0, "it is not for api.example", "server: get one with that name; caller: check the name"),
			problem(pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE, 0, "the issuer CN=Middle was not sent", "server: send the intermediates"),
			problem(pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_CHAIN_TOO_LARGE, -1, "it is large", "ask somebody"),
		},
	}
	return reply
}

func refusal(reply *pb.ProbeResponse) *client.Error {
	return &client.Error{Code: codes.FailedPrecondition, Reason: pb.ErrorReason_ERROR_REASON_CERTIFICATE_UNTRUSTED_SIGNERS,
		Message: "refused", Phase: reply.GetFailedPhase(), Report: reply.GetReport()}
}

// hostileReply has a hostile text wherever a peer can put one, and more.
func hostileReply() *pb.ProbeResponse {
	reply := refusedReply()
	leaf := certificate(hostile, hostile+"2")
	leaf.DnsNames = []string{hostile, hostile}
	leaf.SubjectPublicKeyAlgorithmOid = hostile
	report := reply.Report
	report.PeerChain, report.JudgedPath = []*pb.Certificate{leaf, certificate(hostile+"3", "")}, []*pb.Certificate{leaf}
	report.StoreName, report.VerifyName, report.Warnings = hostile, hostile, []string{hostile}
	for _, p := range report.Problems {
		p.Message, p.Hint = hostile, hostile
	}
	report.Revocation = []*pb.RevocationResult{{Outcome: pb.RevocationResult_OUTCOME_REVOKED, Detail: hostile}}
	reply.Tls = &pb.TlsState{CipherSuite: hostile, Group: hostile, AlpnProtocol: hostile, ServerName: hostile}
	reply.Remote.Address = hostile
	return reply
}
