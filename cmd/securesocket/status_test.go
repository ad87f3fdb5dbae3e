package main

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// statusJSON reads what status -o json printed, into the contract's messages.
func statusJSON(t *testing.T, stdout string) (session *pb.Session, report *pb.CertificateReport, failure *pb.Failure) {
	t.Helper()
	var object map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(stdout), &object), stdout)
	session, report, failure = &pb.Session{}, &pb.CertificateReport{}, &pb.Failure{}
	messages := map[string]proto.Message{"session": session, "report": report, "failure": failure}
	for key, content := range object {
		require.Contains(t, messages, key)
		require.NoError(t, protojson.Unmarshal(content, messages[key]), key)
		delete(messages, key)
	}
	_, noSession := messages["session"]
	_, noReport := messages["report"]
	_, noFailure := messages["failure"]
	if noSession {
		session = nil
	}
	if noReport {
		report = nil
	}
	if noFailure {
		failure = nil
	}
	return session, report, failure
}

func TestStatusOfATrustedPeer(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 2)
	p := startPeer(t, func(conn *tls.Conn) {
		_, err := io.ReadAll(conn)
		ended <- err
	})
	r := runLocal(t, "status -o json --alpn demo/1 --server-name localhost", p.address, "--cafile", p.cafile)
	require.Equal(t, exitDone, r.code, r.stderr)
	session, report, failure := statusJSON(t, r.stdout)
	require.Nil(t, failure)
	require.Equal(t, pb.State_STATE_ENCRYPTED, session.GetState())
	require.Equal(t, "demo/1", session.GetTls().GetAlpnProtocol())
	require.Equal(t, "localhost", session.GetTls().GetServerName())
	require.NotNil(t, session.GetTimeline().GetHandshake())
	require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, report.GetStatus())
	require.Len(t, report.GetVerifiedChain(), 2)
	require.NoError(t, <-ended, "it hangs up with close_notify")

	r = runLocal(t, "status", p.address, "--cafile", p.cafile)
	require.Equal(t, exitDone, r.code, r.stderr)
	require.True(t, strings.HasPrefix(r.stdout, "TRUSTED"), r.stdout)
	for _, part := range []string{"CN=Test Leaf", "CN=Test Root", "TLS 1.3", "X25519MLKEM768", "alpn", "handshake", "validation", "localhost"} {
		require.Contains(t, r.stdout, part)
	}
	require.NotContains(t, r.stdout, "problem:")
}

// It tells what the peer shows now, so nothing is resumed, whatever the defaults say.
func TestStatusResumesNothing(t *testing.T) {
	t.Parallel()
	address, _ := startService(t)
	resumed := make(chan bool, 2)
	p := startPeer(t, func(conn *tls.Conn) {
		resumed <- conn.ConnectionState().DidResume
		tlstest.CloseNotify(conn)
	})
	for range 2 {
		r := runWith(t.Context(), nil, "status", p.address, "--cafile", p.cafile, "-o", "json", "--server", address)
		require.Equal(t, exitDone, r.code, r.stderr)
		session, _, _ := statusJSON(t, r.stdout)
		require.False(t, session.GetEffectiveSettings().GetTls().GetResumption())
		require.False(t, <-resumed)
	}
}

func TestStatusOfARefusedPeer(t *testing.T) {
	t.Parallel()
	p := startPeer(t, tlstest.Echo, tlstest.Expired(), tlstest.Names("other.example"))
	r := runLocal(t, "status -o json", p.address, "--cafile", p.cafile)
	require.Equal(t, exitCertificate, r.code)
	session, report, failure := statusJSON(t, r.stdout)
	require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_PRINCIPAL_MISMATCH, session.GetCertificateStatus())
	require.Equal(t, pb.ErrorReason_ERROR_REASON_CERTIFICATE_PRINCIPAL_MISMATCH, failure.GetReason())
	require.Len(t, report.GetProblems(), 2)

	r = runLocal(t, "status", p.address, "--cafile", p.cafile)
	require.Equal(t, exitCertificate, r.code)
	require.True(t, strings.HasPrefix(r.stdout, "PRINCIPAL_MISMATCH"), r.stdout)
	require.Contains(t, r.stdout, "problem: HOST_NAME_MISMATCH (depth 0, leaf)")
	require.Contains(t, r.stdout, "problem: CERTIFICATE_EXPIRED (depth 0, leaf)")
	require.Contains(t, r.stdout, "hint: ")
	require.NotContains(t, r.stdout+r.stderr, `\"`, "quoted once")
}

func TestStatusWithoutAVerdict(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line       string
		code       int
		reason     pb.ErrorReason
		hasSession bool
	}{
		{"status -o json 10.0.0.1:443", exitPolicy, pb.ErrorReason_ERROR_REASON_EGRESS_DENIED, true},
		{"status -o json 127.1:443", exitUsage, pb.ErrorReason_ERROR_REASON_HOST_SYNTAX, true},
		{"status -o json --min-version 1.0 127.0.0.1:443", exitUsage, pb.ErrorReason_ERROR_REASON_UNSUPPORTED_PROTOCOL, false},
	} {
		r := runLocal(t, c.line)
		require.Equal(t, c.code, r.code, c.line)
		session, report, failure := statusJSON(t, r.stdout)
		require.Equal(t, c.reason, failure.GetReason(), c.line)
		require.Equal(t, c.hasSession, session != nil, c.line)
		require.Nil(t, report, c.line)
	}
}

// The peer chose the names in its certificate, and they reach the terminal escaped.
func TestStatusEscapesThePeer(t *testing.T) {
	t.Parallel()
	const evil = "a\x1b[31m\u009b2J\u202edlrow\r\nfake: line\x07"
	p := startPeer(t, tlstest.Echo, tlstest.CommonName(evil))
	for _, line := range []string{"status", "status -o json", "connect -v"} {
		r := runLocal(t, line, p.address)
		require.Equal(t, exitCertificate, r.code, r.stderr)
		for _, forbidden := range []string{"\x1b", "\x07", "\r", "\u009b", "\u202e", "\nfake"} {
			require.NotContains(t, r.stdout+r.stderr, forbidden, line)
		}
	}
	_, report, _ := statusJSON(t, runLocal(t, "status -o json", p.address).stdout)
	require.Equal(t, evil, report.GetPeerChain()[0].GetSubject().GetCommonName(), "escaping JSON loses nothing")
}
