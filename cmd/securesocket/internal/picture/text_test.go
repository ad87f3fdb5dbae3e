package picture

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"securesocket/client"
	"securesocket/cmd/securesocket/internal/terminal"
	pb "securesocket/gen/securesocket/v1"
)

func textOf(d *Diagnosis, unicode, colour bool) string {
	out := terminal.Text{Unicode: unicode, Colour: colour}
	d.Text(&out)
	return out.String()
}

// inOrder wants lines that have these parts, one after the other.
func inOrder(t *testing.T, text string, parts ...string) {
	t.Helper()
	rest := text
	for _, part := range parts {
		_, after, found := strings.Cut(rest, part)
		require.True(t, found, "%q is not where it should be:\n%s", part, text)
		rest = after
	}
}

func TestTextOfATrustedPeer(t *testing.T) {
	t.Parallel()
	d := &Diagnosis{Target: "www.example:443", Reply: trustedReply()}
	inOrder(t, textOf(d, false, false),
		"ok TRUSTED  www.example:443 (192.0.2.1:443): the chain is valid for www.example up to CN=Root\n",
		"\nrevocation\n", "depth 0, leaf   good by the peer's OCSP staple, as of 2026-01-02T03:04:05Z, good until 2026-01-09T03:04:05Z\n",
		"depth 1         not checked: it names no responder\n",
		"\nwarnings\n  ! the leaf expires in 9 days\n",
		"\nconnection\n", "TLS 1.3", "TLS_AES_128_GCM_SHA256, 128 bits", "X25519MLKEM768", "h2", "www.example", "resumed             no",
		"client certificate  not asked for in the handshake\n",
		"\nchain, judged by the anchors of: system, at 2026-01-02T03:04:05Z\n",
		"  # CN=Root\n", "issued by itself\n", "trust anchor, from the trust store\n",
		"valid 2026-01-02T03:04:05Z to 2027-01-02T03:04:05Z, ECDSA 256, sha256 ",
		"  `- * CN=Middle\n", "intermediate 1, sent by the peer\n",
		"     `- * CN=www.example\n", "leaf, sent by the peer\n", "for www.example, 192.0.2.1\n", "not revoked\n",
		"\ntime, 80.000 ms in all\n",
		"  policy          =.......................................     0.020 ms\n",
		"  dns             ======..................................    12.000 ms\n",
		"  tcp             ......==========........................    20.000 ms\n",
		"  handshake       ................========================    48.000 ms\n",
		"    validation    ...........................===========..    20.000 ms\n",
		"      revocation  ............................==========..    19.000 ms\n",
	)
	require.NotContains(t, textOf(d, false, false), "issued by CN", "the tree says so")
	require.NotContains(t, textOf(d, false, false), "problems")
}

func TestTextOfARefusedPeer(t *testing.T) {
	t.Parallel()
	reply := refusedReply()
	d := &Diagnosis{Target: "api.example:443", Reply: reply, Err: refusal(reply)}
	inOrder(t, textOf(d, true, false),
		"\u2718 UNTRUSTED_SIGNERS  api.example:443 (192.0.2.1:443): the issuer CN=Middle was not sent\n",
		"problems\n",
		"  \u2718 HOST_NAME_MISMATCH  (depth 0, leaf, CN=www.example)\n      it is not for api.example\n",
		"mend  peer: get one with that name\n", "mend  caller: check the name\n",
		"UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE", "mend  peer: send the intermediates\n",
		"CHAIN_TOO_LARGE  (chain)\n", "mend  ask somebody\n",
		"chain", "  \u25cb CN=Middle\n", "missing, neither sent nor a trust anchor\n",
		"  \u2514\u2500 \u25cf CN=www.example\n", "leaf, sent by the peer\n", "\u2718 HOST_NAME_MISMATCH\n", "\u2718 UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE\n",
		"sent too, and not part of it:\n    CN=Other, valid ",
		"    validation    ", "\u2718 failed here\n",
	)
	require.NotContains(t, textOf(d, true, false), "trust anchor, ", "nothing here is one")
}

// A failure before any certificate has the remedy of its reason, and the phase that failed is marked although it has no
// span.
func TestTextWithoutACertificate(t *testing.T) {
	t.Parallel()
	reply := &pb.ProbeResponse{FailedPhase: pb.Phase_PHASE_TCP, Timeline: &pb.Timeline{Policy: span(0, time.Microsecond)}}
	d := &Diagnosis{Target: "192.0.2.1:443", Reply: reply, Err: &client.Error{Code: codes.Unavailable,
		Reason: pb.ErrorReason_ERROR_REASON_CONNECTION_REFUSED, Message: "nobody listens", Phase: pb.Phase_PHASE_TCP}}
	inOrder(t, textOf(d, false, false),
		"x CONNECTION_REFUSED  192.0.2.1:443: tcp: nobody listens\n", "mend  peer: ", "time", "  tcp ", "x failed here\n")
	require.NotContains(t, textOf(d, false, false), "chain")

	// A peer may fail although its certificate is good.
	reply = trustedReply()
	reply.FailedPhase = pb.Phase_PHASE_HANDSHAKE
	d = &Diagnosis{Target: "a:1", Reply: reply, Err: &client.Error{Reason: pb.ErrorReason_ERROR_REASON_ALPN_MISMATCH, Message: "no"}}
	inOrder(t, textOf(d, false, false), "x ALPN_MISMATCH  a:1", "certificate: TRUSTED, ", "mend  peer: ")
}

// Who was asked for a client certificate and showed none has not been accepted yet, under TLS 1.3.
func TestClientCertificate(t *testing.T) {
	t.Parallel()
	reply := trustedReply()
	reply.Tls.ClientCertificateRequested = true
	d := &Diagnosis{Target: "a:1", Reply: reply}
	inOrder(t, textOf(d, false, false), "client certificate  asked for, none shown\n", "first bytes")
	require.Contains(t, requireXML(t, d.SVG()), "first bytes")
	reply.Tls.ClientCertificateShown = true
	require.Contains(t, textOf(d, false, false), "client certificate  asked for, and one shown\n")
	require.NotContains(t, textOf(d, false, false), "first bytes")
}

// A session's own anchors come beside those that it follows.
func TestJudgedBy(t *testing.T) {
	t.Parallel()
	require.Equal(t, ", judged by the anchors of: system", judgedBy(&pb.CertificateReport{StoreName: "system"}))
	require.Equal(t, ", judged by the anchors of: session, and of any level that it follows", judgedBy(&pb.CertificateReport{StoreName: "session"}))
}

// A name with a comma in it is one name.
func TestNamesAreQuoted(t *testing.T) {
	t.Parallel()
	reply := trustedReply()
	reply.Report.JudgedPath[0].DnsNames = []string{"evil.test, good.example"}
	d := &Diagnosis{Target: "a:1", Reply: reply}
	require.Contains(t, textOf(d, false, false), `for "evil.test, good.example", 192.0.2.1`)
	require.Contains(t, requireXML(t, d.SVG()), `for "evil.test, good.example", 192.0.2.1`)
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	reply := trustedReply()
	root := reply.Report.JudgedPath[2]
	d := &Diagnosis{Target: "f.pem", Reply: reply, Added: [][]byte{root.Der}, FromFile: true}
	text := textOf(d, false, false)
	require.Contains(t, text, "trust anchor, added by the caller\n")
	require.Contains(t, text, "leaf, from the file\n")
	reply.Report.PeerChain = append(reply.Report.PeerChain, root)
	require.Contains(t, textOf(d, false, false), "trust anchor, added by the caller, also from the file\n")
	d.Added, d.FromFile = nil, false
	require.Contains(t, textOf(d, false, false), "trust anchor, in the trust store, also sent by the peer\n")
	reply.Tls.Resumed = true
	require.Contains(t, textOf(d, false, false), "leaf, sent by the peer in an earlier handshake\n")
}

// Without an answer nothing is trusted, and nothing breaks.
func TestEmptyReply(t *testing.T) {
	t.Parallel()
	for _, reply := range []*pb.ProbeResponse{nil, {}, {Report: &pb.CertificateReport{}}, {Report: &pb.CertificateReport{
		JudgedPath: []*pb.Certificate{{}}, Problems: []*pb.CertificateProblem{{}}, Revocation: []*pb.RevocationResult{{}}}}} {
		d := &Diagnosis{Reply: reply}
		require.True(t, strings.HasPrefix(textOf(d, false, false), "x UN"))
		requireXML(t, d.SVG())
	}
}

// Colours are escape sequences of ours; taken away, they leave the plain text.
func TestColour(t *testing.T) {
	t.Parallel()
	reply := refusedReply()
	d := &Diagnosis{Target: "a:1", Reply: reply, Err: refusal(reply)}
	coloured := textOf(d, true, true)
	require.Contains(t, coloured, "\x1b[1;31m\u2718 UNTRUSTED_SIGNERS\x1b[0m")
	require.NotContains(t, textOf(d, true, false), "\x1b")
	for _, style := range []terminal.Style{terminal.Bold, terminal.Dim, terminal.Good, terminal.Warn, terminal.Bad, terminal.Worst, terminal.Best, terminal.Cyan, "0"} {
		coloured = strings.ReplaceAll(coloured, "\x1b["+string(style)+"m", "")
	}
	require.Equal(t, textOf(d, true, false), coloured)
	for _, r := range textOf(d, false, false) {
		require.Less(t, r, rune(0x80), "ASCII")
	}
}

func TestHostileText(t *testing.T) {
	t.Parallel()
	reply := hostileReply()
	d := &Diagnosis{Target: hostile, Reply: reply, Err: refusal(reply)}
	for _, r := range textOf(d, true, false) {
		require.True(t, r == '\n' || r >= ' ')
		require.NotContains(t, []rune{0x7f, 0x9b, 0x202e}, r)
	}
	require.NotContains(t, textOf(d, true, true), "\nfake")
}

func TestBar(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		start, took, total time.Duration
		from, to           int
	}{
		{0, 0, 0, 0, 1},
		{0, 10, 10, 0, 10},
		{10, 0, 10, 9, 10},
		{5, 5, 10, 5, 10},
		{0, 1, 1000, 0, 1},
	} {
		from, to := phase{start: c.start, took: c.took}.bar(c.total, 10)
		require.Equal(t, []int{c.from, c.to}, []int{from, to}, "%v", c)
	}
}
