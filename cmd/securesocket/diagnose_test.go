package main

import (
	"encoding/xml"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// diagnosis runs diagnose -o json and reads what it printed.
func diagnosis(t *testing.T, code int, args ...string) *pb.ProbeResponse {
	t.Helper()
	r := runLocal(t, "diagnose -o json", args...)
	require.Equal(t, code, r.code, r.stderr)
	var reply pb.ProbeResponse
	require.NoError(t, protojson.Unmarshal([]byte(r.stdout), &reply), r.stdout)
	return &reply
}

func TestDiagnoseATrustedPeer(t *testing.T) {
	t.Parallel()
	p := startPeer(t, tlstest.Echo)
	r := runLocal(t, "diagnose --alpn demo/1 --server-name localhost", p.address, "--cafile", p.cafile)
	require.Equal(t, exitDone, r.code, r.stderr)
	require.Empty(t, r.stderr)
	require.Contains(t, strings.SplitN(r.stdout, "\n", 2)[0], " TRUSTED  "+p.address+": ")
	for _, part := range []string{"TLS 1.3", "demo/1", "CN=Test Root", "trust anchor, added by the caller", "CN=Test Leaf", "leaf, sent by the peer", "handshake"} {
		require.Contains(t, r.stdout, part)
	}
	require.NotContains(t, r.stdout, "\x1b", "it is no terminal")
	require.Contains(t, runLocal(t, "diagnose --color always", p.address, "--cafile", p.cafile).stdout, "\x1b[1;32m")

	reply := diagnosis(t, exitDone, p.address, "--cafile", p.cafile)
	require.Nil(t, reply.GetFailure())
	require.Len(t, reply.GetReport().GetVerifiedChain(), 2)
	require.NotNil(t, reply.GetTimeline().GetHandshake())
}

func TestDiagnoseARefusedPeer(t *testing.T) {
	t.Parallel()
	p := startPeer(t, tlstest.Echo, tlstest.Expired(), tlstest.Names("other.example"))
	r := runLocal(t, "diagnose", p.address, "--cafile", p.cafile)
	require.Equal(t, exitCertificate, r.code)
	require.Contains(t, strings.SplitN(r.stdout, "\n", 2)[0], " PRINCIPAL_MISMATCH  "+p.address)
	for _, part := range []string{"HOST_NAME_MISMATCH", "CERTIFICATE_EXPIRED", "mend  peer: ", "mend  caller: ", "failed here"} {
		require.Contains(t, r.stdout, part)
	}
	require.Contains(t, r.stderr, "(CERTIFICATE_PRINCIPAL_MISMATCH)")
	reply := diagnosis(t, exitCertificate, p.address, "--cafile", p.cafile)
	require.Equal(t, pb.ErrorReason_ERROR_REASON_CERTIFICATE_PRINCIPAL_MISMATCH, reply.GetFailure().GetReason())
	require.Len(t, reply.GetReport().GetProblems(), 2)
}

func TestDiagnoseWithoutACertificate(t *testing.T) {
	t.Parallel()
	unused := tlstest.Refusing(t)
	plain := tlstest.ServeRaw(t, func(conn net.Conn) {
		_, _ = conn.Write([]byte("220 this is not TLS\r\n"))
		_, _ = io.Copy(io.Discard, conn)
	})
	for _, c := range []struct {
		target string
		code   int
		reason pb.ErrorReason
		phase  pb.Phase
	}{
		{unused, exitNetwork, pb.ErrorReason_ERROR_REASON_CONNECTION_REFUSED, pb.Phase_PHASE_TCP},
		{plain, exitHandshake, pb.ErrorReason_ERROR_REASON_NOT_TLS, pb.Phase_PHASE_HANDSHAKE},
		{"10.0.0.1:443", exitPolicy, pb.ErrorReason_ERROR_REASON_EGRESS_DENIED, pb.Phase_PHASE_POLICY},
		{"127.1:443", exitUsage, pb.ErrorReason_ERROR_REASON_HOST_SYNTAX, pb.Phase_PHASE_UNSPECIFIED},
	} {
		reply := diagnosis(t, c.code, c.target)
		require.Equal(t, c.reason, reply.GetFailure().GetReason(), c.target)
		require.Equal(t, c.phase, reply.GetFailedPhase(), c.target)
		require.Nil(t, reply.GetReport(), c.target)
		r := runLocal(t, "diagnose", c.target)
		require.Equal(t, c.code, r.code)
		if c.phase != pb.Phase_PHASE_UNSPECIFIED {
			require.Contains(t, r.stdout, strings.TrimPrefix(c.reason.String(), "ERROR_REASON_"))
			require.Contains(t, r.stdout, "failed here")
		}
	}
}

// requireSVG parses a picture as XML.
func requireSVG(t *testing.T, content string) {
	t.Helper()
	elements := 0
	for decoder := xml.NewDecoder(strings.NewReader(content)); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err, content)
		if start, ok := token.(xml.StartElement); ok {
			elements++
			require.NotEqual(t, "script", start.Name.Local)
		}
	}
	require.Greater(t, elements, 10)
}

// The peer chose the names in its certificate: neither a terminal nor a viewer of the picture obeys them.
func TestDiagnoseAHostilePeer(t *testing.T) {
	t.Parallel()
	const evil = "a\x1b[31m]]></text><script>alert(1)</script>&\u202e\r\nfake: line"
	p := startPeer(t, tlstest.Echo, tlstest.CommonName(evil))
	file := filepath.Join(t.TempDir(), "chain.svg")
	r := runLocal(t, "diagnose --svg "+file, p.address)
	require.Equal(t, exitCertificate, r.code, r.stderr)
	for _, forbidden := range []string{"\x1b", "\r", "\u202e", "\nfake"} {
		require.NotContains(t, r.stdout+r.stderr, forbidden)
	}
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	requireSVG(t, string(content))
	require.Contains(t, string(content), "alert(1)", "it is told, as text")

	r = runLocal(t, "diagnose --svg -", p.address, "--cafile", p.cafile)
	require.Equal(t, exitDone, r.code, r.stderr)
	requireSVG(t, r.stdout)
}

// A picture that cannot be written is an error of its own, unless the peer's is worse.
func TestDiagnoseWritesNoPicture(t *testing.T) {
	t.Parallel()
	p := startPeer(t, tlstest.Echo)
	nowhere := filepath.Join(t.TempDir(), "missing", "chain.svg")
	r := runLocal(t, "diagnose --svg "+nowhere, p.address, "--cafile", p.cafile)
	require.Equal(t, exitOther, r.code)
	require.Contains(t, r.stderr, nowhere)
	require.Contains(t, r.stdout, "TRUSTED", "the rest is told")
	r = runLocal(t, "diagnose --svg "+nowhere, p.address)
	require.Equal(t, exitCertificate, r.code)
	require.Contains(t, r.stderr, nowhere)
}

// What the service says about a chain is an error of the reason that a connect would have had.
func TestReportError(t *testing.T) {
	t.Parallel()
	require.Nil(t, reportError(&pb.CertificateReport{Status: pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED,
		TrustBasis: pb.CertificateReport_TRUST_BASIS_VALIDATED}))
	for number, name := range pb.CertificateStatus_name {
		if number == 0 {
			continue // never sent
		}
		e := reportError(&pb.CertificateReport{Status: pb.CertificateStatus(number)})
		require.NotNil(t, e, name)
		require.Equal(t, exitCertificate, exitCode(e), name)
		if want, ok := pb.ErrorReason_value["ERROR_REASON_"+strings.TrimPrefix(name, "CERTIFICATE_STATUS_")]; ok {
			require.Equal(t, pb.ErrorReason(want), e.Reason, name)
		}
	}
	require.NotNil(t, reportError(nil), "no judgement is no trust")
	e := reportError(&pb.CertificateReport{Status: pb.CertificateStatus_CERTIFICATE_STATUS_UNKNOWN, Problems: []*pb.CertificateProblem{
		{Code: pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_REVOCATION_UNKNOWN, Hint: "operator: let it out"}}})
	require.Equal(t, pb.ErrorReason_ERROR_REASON_REVOCATION_UNAVAILABLE, e.Reason)
	require.Equal(t, "operator: let it out", (&program{}).remedy(e))
}
