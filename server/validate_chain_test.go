package server_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/forge"
	"securesocket/tlsengine/tlstest"
)

// validator asks about chains, and wants nothing to be dialled.
type validator struct {
	tb    testing.TB
	d     pb.DiagnosticServiceClient
	dials func() map[string]int
}

func newValidator(tb testing.TB, opts ...servertest.Option) validator {
	tb.Helper()
	count, dials := countedDials()
	svc := servertest.Start(tb, append(opts, count)...)
	return validator{tb, pb.NewDiagnosticServiceClient(svc.Dial(tb)), dials}
}

func (v validator) ask(req *pb.ValidateChainRequest) (*pb.CertificateReport, error) {
	v.tb.Helper()
	ctx, cancel := context.WithTimeout(v.tb.Context(), patience)
	defer cancel()
	resp, err := v.d.ValidateChain(ctx, req)
	require.Empty(v.tb, v.dials())
	return resp.GetReport(), err
}

func (v validator) report(req *pb.ValidateChainRequest) *pb.CertificateReport {
	v.tb.Helper()
	r, err := v.ask(req)
	require.NoError(v.tb, err)
	require.NotNil(v.tb, r)
	return r
}

// about is a question about a chain for localhost, judged by one anchor alone.
func about(anchor *tlstest.CA, chain [][]byte) *pb.ValidateChainRequest {
	return &pb.ValidateChainRequest{
		Chain: chain, VerifyNames: []string{"localhost"},
		Trust:        &pb.TrustSettings{Base: pb.TrustSettings_BASE_NONE},
		Certificates: []*pb.ExtraCertificate{{Certificate: anchor.DER(), Trusted: true}},
	}
}

func requireTrusted(tb testing.TB, r *pb.CertificateReport) {
	tb.Helper()
	require.Equal(tb, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, r.GetStatus(), "%v", r.GetProblems())
	require.Equal(tb, pb.CertificateReport_TRUST_BASIS_VALIDATED, r.GetTrustBasis())
	require.Empty(tb, r.GetProblems())
	require.NotEmpty(tb, r.GetVerifiedChain())
}

func TestValidateChain(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	between := ca.Intermediate()
	leaf := between.Leaf()
	v := newValidator(t)

	r := v.report(about(ca, leaf.Chain))
	requireTrusted(t, r)
	require.Len(t, r.GetVerifiedChain(), 3)
	require.Len(t, r.GetPeerChain(), 2)
	require.Equal(t, "localhost", r.GetVerifyName())
	require.Equal(t, "session", r.GetStoreName())
	require.Equal(t, storeHash(ca), r.GetStoreSha256())
	require.Len(t, r.GetRevocation(), 2, "SOFT is the default")
	for _, name := range []string{"127.0.0.1", "::1", "LOCALHOST", "localhost."} {
		req := about(ca, leaf.Chain)
		req.VerifyNames = []string{"nowhere.example", name}
		requireTrusted(t, v.report(req))
	}

	req := about(ca, leaf.Chain)
	req.VerifyNames = []string{"nowhere.example"}
	r = v.report(req)
	require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_PRINCIPAL_MISMATCH, r.GetStatus())

	r = v.report(about(tlstest.NewCA(t), leaf.Chain))
	require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_UNTRUSTED_SIGNERS, r.GetStatus())

	// The anchors of the request are added to what the caller follows.
	req = about(ca, leaf.Chain)
	req.Trust = nil
	requireTrusted(t, v.report(req))
	req.Certificates[0].Trusted = false
	require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_UNTRUSTED_SIGNERS, v.report(req).GetStatus(), "not an anchor")
}

func TestValidateChainByTheCallersTrust(t *testing.T) {
	t.Parallel()
	system, mine := tlstest.NewCA(t), tlstest.NewCA(t)
	svc := servertest.Start(t, systemOf(system))
	k := newTrustClients(t, svc)
	k.add(t.Context(), ofDefaults, "", true, mine.DER())
	d := pb.NewDiagnosticServiceClient(svc.Dial(t))
	for _, tc := range []struct {
		ca      *tlstest.CA
		base    pb.TrustSettings_Base
		store   string
		trusted bool
	}{
		{system, 0, "defaults", true}, {mine, 0, "defaults", true},
		{system, pb.TrustSettings_BASE_DEFAULTS, "defaults", true},
		{system, pb.TrustSettings_BASE_SYSTEM, "system", true}, {mine, pb.TrustSettings_BASE_SYSTEM, "system", false},
		{system, pb.TrustSettings_BASE_NONE, "session", false}, {mine, pb.TrustSettings_BASE_NONE, "session", false},
	} {
		resp, err := d.ValidateChain(t.Context(), &pb.ValidateChainRequest{
			Chain: tc.ca.Leaf().Chain, VerifyNames: []string{"localhost"}, Trust: &pb.TrustSettings{Base: tc.base},
		})
		require.NoError(t, err)
		require.Equal(t, tc.trusted, resp.GetReport().GetStatus() == pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, "%v", tc)
		require.Equal(t, tc.store, resp.GetReport().GetStoreName(), "%v", tc)
	}
}

func TestValidateChainAtATime(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	leaf := ca.Leaf(tlstest.Validity(time.Now().Add(-30*time.Minute), time.Now().Add(30*time.Minute)))
	v := newValidator(t)
	for _, tc := range []struct {
		at     time.Time
		status pb.CertificateStatus
	}{
		{time.Now(), pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED},
		{leaf.Leaf.NotAfter, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED},
		{leaf.Leaf.NotAfter.Add(time.Second), pb.CertificateStatus_CERTIFICATE_STATUS_EXPIRED},
		{leaf.Leaf.NotBefore.Add(-time.Second), pb.CertificateStatus_CERTIFICATE_STATUS_NOT_YET_VALID},
		{time.Unix(0, 0), pb.CertificateStatus_CERTIFICATE_STATUS_INVALID_CHAIN}, // the anchor's time, too
		{time.Time{}, pb.CertificateStatus_CERTIFICATE_STATUS_INVALID_CHAIN},     // the year 1 is not now
	} {
		req := about(ca, leaf.Chain)
		req.AtTime = timestamppb.New(tc.at)
		r := v.report(req)
		require.Equal(t, tc.status, r.GetStatus(), "%v", tc.at)
		if !tc.at.IsZero() {
			require.Equal(t, tc.at.Unix(), r.GetValidateTime().GetSeconds())
		}
	}
}

func TestValidateChainWithAMissingIntermediate(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	between := ca.Intermediate()
	leaf := between.Leaf()
	v := newValidator(t)
	r := v.report(about(ca, leaf.Chain[:1]))
	require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_UNTRUSTED_SIGNERS, r.GetStatus())
	require.Contains(t, problemsOf(r), pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_UNABLE_TO_VERIFY_FIRST_CERTIFICATE)
	req := about(ca, leaf.Chain[:1])
	req.Certificates = append(req.Certificates, &pb.ExtraCertificate{Certificate: between.DER()})
	r = v.report(req)
	requireTrusted(t, r)
	require.Len(t, r.GetVerifiedChain(), 3)
	require.Len(t, r.GetPeerChain(), 1)
}

func TestValidateChainByGivenEvidence(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		options []tlstest.Option
		staple  func(*tlstest.CA, *x509.Certificate) []byte
		crl     func(*tlstest.CA, *x509.Certificate) []byte
		mode    pb.RevocationMode
		status  pb.CertificateStatus
		code    pb.CertificateProblemCode // 0: none
		source  pb.RevocationResult_Source
	}{
		"revoked by CRL":        {nil, nil, listsRevoked, soft, pb.CertificateStatus_CERTIFICATE_STATUS_REVOKED, wasRevoked, fromCRL},
		"revoked by staple":     {nil, saysRevoked, nil, soft, pb.CertificateStatus_CERTIFICATE_STATUS_REVOKED, wasRevoked, fromStaple},
		"the CRL knows better":  {nil, says, listsRevoked, 0, pb.CertificateStatus_CERTIFICATE_STATUS_REVOKED, wasRevoked, fromCRL},
		"good by CRL":           {nil, nil, lists, hard, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, 0, fromCRL},
		"good by staple":        {nil, says, nil, hard, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, 0, fromStaple},
		"HARD without evidence": {nil, nil, nil, hard, pb.CertificateStatus_CERTIFICATE_STATUS_UNKNOWN, notKnown, nowhere},
		"HARD with an old CRL":  {nil, nil, listedBefore, hard, pb.CertificateStatus_CERTIFICATE_STATUS_UNKNOWN, notKnown, nowhere},
		"HARD with garbage":     {nil, garbage, garbage, hard, pb.CertificateStatus_CERTIFICATE_STATUS_UNKNOWN, notKnown, nowhere},
		"SOFT without evidence": {nil, nil, nil, soft, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, 0, nowhere},
		"nothing is fetched": {
			[]tlstest.Option{forge.CRLDistributionPoint("http://127.0.0.1:1/crl"), forge.OCSPServer("http://127.0.0.1:1/ocsp")},
			nil, nil, hard, pb.CertificateStatus_CERTIFICATE_STATUS_UNKNOWN, notKnown, nowhere,
		},
		"must-staple":             {[]tlstest.Option{forge.MustStaple()}, nil, lists, soft, pb.CertificateStatus_CERTIFICATE_STATUS_UNKNOWN, wantsStaple, fromCRL},
		"must-staple with staple": {[]tlstest.Option{forge.MustStaple()}, says, nil, hard, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, 0, fromStaple},
		"OFF does not look":       {nil, saysRevoked, listsRevoked, notAsked, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, 0, nowhere},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := tlstest.NewCA(t)
			leaf := ca.Leaf(tc.options...)
			req := about(ca, leaf.Chain)
			req.Revocation = tc.mode
			if tc.staple != nil {
				req.OcspStaple = tc.staple(ca, leaf.Leaf)
			}
			if tc.crl != nil {
				other := tlstest.NewCA(t)
				req.Crls = [][]byte{other.CRL(forge.List{}), tc.crl(ca, leaf.Leaf)}
			}
			r := newValidator(t).report(req)
			require.Equal(t, tc.status, r.GetStatus())
			if tc.code == 0 {
				require.Empty(t, r.GetProblems())
			} else {
				require.Equal(t, map[pb.CertificateProblemCode]int32{tc.code: 0}, problemsOf(r))
			}
			if tc.mode == notAsked {
				require.Empty(t, r.GetRevocation())
				return
			}
			require.Len(t, r.GetRevocation(), 1)
			require.Equal(t, tc.source, r.GetRevocation()[0].GetSource())
		})
	}
}

func TestValidateTheChainOfAClient(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	v := newValidator(t)
	ask := func(clientRole bool, usages ...x509.ExtKeyUsage) *pb.CertificateReport {
		req := about(ca, ca.Leaf(tlstest.ExtKeyUsage(usages...)).Chain)
		if req.ServerRole = clientRole; clientRole {
			req.VerifyNames = nil
		}
		return v.report(req)
	}
	requireTrusted(t, ask(true, x509.ExtKeyUsageClientAuth))
	requireTrusted(t, ask(true, x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth))
	requireTrusted(t, ask(true))
	requireTrusted(t, ask(false, x509.ExtKeyUsageServerAuth))
	for _, r := range []*pb.CertificateReport{ask(true, x509.ExtKeyUsageServerAuth), ask(false, x509.ExtKeyUsageClientAuth)} {
		require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_INVALID, r.GetStatus())
		require.Equal(t, map[pb.CertificateProblemCode]int32{pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_INVALID_PURPOSE: 0}, problemsOf(r))
	}
	// A name may be asked for all the same.
	req := about(ca, ca.Leaf(tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth), tlstest.Names("uri:spiffe://house/client")).Chain)
	req.ServerRole, req.VerifyNames = true, []string{"uri:spiffe://house/client"}
	requireTrusted(t, v.report(req))
	req.VerifyNames = []string{"uri:spiffe://house/other"}
	require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_PRINCIPAL_MISMATCH, v.report(req).GetStatus())
}

func TestValidateChainWithPins(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	leaf := ca.Leaf()
	v := newValidator(t)
	req := about(ca, leaf.Chain)
	req.Trust.SpkiSha256Pins = pinned(ca.Certificate.RawSubjectPublicKeyInfo).GetTls().GetTrust().GetSpkiSha256Pins()
	requireTrusted(t, v.report(req))
	req.Trust.SpkiSha256Pins = [][]byte{make([]byte, 32)}
	require.Contains(t, problemsOf(v.report(req)), pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_PIN_MISMATCH)
}

func TestChainsThatCannotBeJudged(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	leaf := ca.Leaf()
	v := newValidator(t)
	for name, tc := range map[string]struct {
		chain  [][]byte
		status pb.CertificateStatus
		code   pb.CertificateProblemCode
		depth  int32
	}{
		"a garbage leaf": {[][]byte{[]byte("garbage"), ca.DER()}, pb.CertificateStatus_CERTIFICATE_STATUS_INVALID,
			pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_MALFORMED_CERTIFICATE, 0},
		"an empty leaf": {[][]byte{nil}, pb.CertificateStatus_CERTIFICATE_STATUS_INVALID,
			pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_MALFORMED_CERTIFICATE, 0},
		"too many": {slices.Repeat([][]byte{leaf.Leaf.Raw}, 17), pb.CertificateStatus_CERTIFICATE_STATUS_UNKNOWN,
			pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_CHAIN_TOO_LARGE, -1},
		"too large": {[][]byte{ca.Leaf(tlstest.Padding(33 << 10)).Leaf.Raw}, pb.CertificateStatus_CERTIFICATE_STATUS_UNKNOWN,
			pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_CHAIN_TOO_LARGE, -1},
	} {
		r := v.report(about(ca, tc.chain))
		require.Equal(t, tc.status, r.GetStatus(), name)
		require.Equal(t, map[pb.CertificateProblemCode]int32{tc.code: tc.depth}, problemsOf(r), name)
		require.Equal(t, pb.CertificateReport_TRUST_BASIS_NONE, r.GetTrustBasis(), name)
	}

	// Another certificate than the leaf may be garbage: the chain is built without it.
	r := v.report(about(ca, [][]byte{leaf.Leaf.Raw, []byte("garbage")}))
	requireTrusted(t, r)
	require.NotEmpty(t, r.GetWarnings())
}

func TestRefusedQuestionsAboutChains(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	leaf := ca.Leaf()
	v := newValidator(t)
	for name, tc := range map[string]struct {
		change        func(*pb.ValidateChainRequest)
		reason, field string
	}{
		"no chain":           {func(m *pb.ValidateChainRequest) { m.Chain = nil }, "INVALID_FIELD", "chain"},
		"no name":            {func(m *pb.ValidateChainRequest) { m.VerifyNames = nil }, "INVALID_FIELD", "verify_names"},
		"an empty name":      {func(m *pb.ValidateChainRequest) { m.VerifyNames = []string{""} }, "INVALID_FIELD", "verify_names"},
		"a name of nonsense": {func(m *pb.ValidateChainRequest) { m.VerifyNames = []string{"a b"} }, "INVALID_FIELD", "verify_names"},
		"many names":         {func(m *pb.ValidateChainRequest) { m.VerifyNames = slices.Repeat([]string{"x"}, 17) }, "INVALID_FIELD", "verify_names"},
		"a long name":        {func(m *pb.ValidateChainRequest) { m.VerifyNames = []string{strings.Repeat("x", 1025)} }, "INVALID_FIELD", "verify_names"},
		"a pin of 31 bytes":  {func(m *pb.ValidateChainRequest) { m.Trust.SpkiSha256Pins = [][]byte{make([]byte, 31)} }, "INVALID_FIELD", "trust.spki_sha256_pins[0]"},
		"33 pins": {func(m *pb.ValidateChainRequest) {
			m.Trust.SpkiSha256Pins = slices.Repeat([][]byte{make([]byte, 32)}, 33)
		},
			"INVALID_FIELD", "trust.spki_sha256_pins"},
		"an unknown base":  {func(m *pb.ValidateChainRequest) { m.Trust.Base = 9 }, "INVALID_FIELD", "trust.base"},
		"an unknown mode":  {func(m *pb.ValidateChainRequest) { m.Revocation = 9 }, "INVALID_FIELD", "revocation"},
		"no time":          {func(m *pb.ValidateChainRequest) { m.AtTime = &timestamppb.Timestamp{Nanos: -1} }, "INVALID_FIELD", "at_time"},
		"65 CRLs":          {func(m *pb.ValidateChainRequest) { m.Crls = slices.Repeat([][]byte{{1}}, 65) }, "INVALID_FIELD", "crls"},
		"a garbage extra":  {func(m *pb.ValidateChainRequest) { m.Certificates[0].Certificate = []byte("x") }, "INVALID_CERTIFICATE", ""},
		"an unknown field": {func(m *pb.ValidateChainRequest) { withUnknown(m) }, "INVALID_FIELD", "#9999"},
	} {
		req := about(ca, leaf.Chain)
		tc.change(req)
		_, err := v.ask(req)
		require.Equal(t, tc.reason, reasonOf(t, err), name)
		require.Equal(t, codes.InvalidArgument, status.Code(err), name)
		_, metadata := infoOf(t, err)
		require.Equal(t, tc.field, metadata["field"], name)
	}
	req := about(ca, leaf.Chain)
	for _, der := range manyCertificates(t, 101) {
		req.Certificates = append(req.Certificates, &pb.ExtraCertificate{Certificate: der})
	}
	_, err := v.ask(req)
	require.Equal(t, "LIMIT", reasonOf(t, err))
	requireTrusted(t, v.report(about(ca, leaf.Chain)))
}

// Requests with CRLs may be larger than others.
func TestValidateChainWithLargeCRLs(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	leaf := ca.Leaf()
	var gone []*x509.Certificate
	for range 200 {
		gone = append(gone, leaf.Leaf)
	}
	req := about(ca, leaf.Chain)
	for len(req.GetCrls()) < 60 {
		req.Crls = append(req.Crls, ca.CRL(forge.List{Revoked: gone}))
	}
	size := 0
	for _, crl := range req.GetCrls() {
		size += len(crl)
	}
	require.Greater(t, size, 256<<10)
	require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_REVOKED, newValidator(t).report(req).GetStatus(), fmt.Sprint(size))
}

func TestCancelledValidation(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	v := newValidator(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := v.d.ValidateChain(ctx, about(ca, ca.Leaf().Chain))
	require.Equal(t, codes.Canceled, status.Code(err))
}
