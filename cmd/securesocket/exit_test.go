package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

func TestEveryReasonHasAnExitCode(t *testing.T) {
	t.Parallel()
	require.Len(t, exitCodes, len(pb.ErrorReason_name))
	for number, name := range pb.ErrorReason_name {
		reason := pb.ErrorReason(number)
		code, ok := exitCodes[reason]
		require.True(t, ok, name)
		require.Equal(t, code, exitCode(&client.Error{Reason: reason}), name)
		require.NotEqual(t, exitDone, code, name)
		require.NotEqual(t, exitInterrupted, code, name)
		if strings.HasPrefix(name, "ERROR_REASON_CERTIFICATE_") {
			require.Equal(t, exitCertificate, code, name)
		}
		if strings.HasPrefix(name, "ERROR_REASON_INVALID_") || strings.HasPrefix(name, "ERROR_REASON_UNSUPPORTED") {
			require.Equal(t, exitUsage, code, name)
		}
	}
}

func TestExitCodeBeyondTheReason(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, exitDone},
		{errors.New("anything"), exitOther},
		{usagef("flag"), exitUsage},
		{fmt.Errorf("around: %w", errInterrupted), exitInterrupted},
		{&outputError{syscall.EPIPE}, exitDone},
		{&outputError{io.ErrClosedPipe}, exitDone},
		{&outputError{syscall.ENOSPC}, exitOther},
		{&inputError{syscall.EIO}, exitOther},
		{&client.Error{Code: codes.Unavailable}, exitNetwork},
		{&client.Error{Code: codes.DeadlineExceeded}, exitNetwork},
		{&client.Error{Code: codes.Unauthenticated}, exitPolicy},
		{&client.Error{Reason: pb.ErrorReason(9999)}, exitOther},
		{&client.Error{Reason: pb.ErrorReason_ERROR_REASON_PEER_TRUNCATED, Phase: pb.Phase_PHASE_HANDSHAKE}, exitHandshake},
		{&client.Error{Reason: pb.ErrorReason_ERROR_REASON_PEER_TRUNCATED, Phase: pb.Phase_PHASE_DATA}, exitTruncated},
	} {
		require.Equal(t, c.want, exitCode(c.err), "%v", c.err)
	}
}

// All commands that connect end with the same code for the same failure, and name reason, side and remedy.
func TestExitCodeOfEachClass(t *testing.T) {
	t.Parallel()
	echo := startPeer(t, tlstest.Echo)
	expired := startPeer(t, tlstest.Echo, tlstest.Expired())
	// It knows no application protocols.
	muteCA := tlstest.NewCA(t)
	mute := tlstest.Serve(t, &tls.Config{Certificates: []tls.Certificate{muteCA.Leaf().Certificate()}}, tlstest.Echo)
	mutefile := writeFile(t, muteCA.PEM())
	unused := tlstest.Refusing(t)
	plain := tlstest.ServeRaw(t, func(conn net.Conn) {
		_, _ = conn.Write([]byte("220 this is not TLS\r\n"))
		_, _ = io.Copy(io.Discard, conn)
	})
	for _, c := range []struct {
		name   string
		args   []string
		code   int
		reason string
	}{
		{"host", []string{"127.1:443"}, exitUsage, "HOST_SYNTAX"},
		{"no host", []string{":443"}, exitUsage, "HOST_REQUIRED"},
		{"old version", []string{echo.address, "--min-version", "1.0"}, exitUsage, "UNSUPPORTED_PROTOCOL"},
		{"too many names", append([]string{echo.address}, strings.Fields(strings.Repeat(" --verify-name a", 17))...), exitUsage, "INVALID_FIELD"},
		{"policy", []string{"10.0.0.1:443"}, exitPolicy, "EGRESS_DENIED"},
		{"nobody listens", []string{unused}, exitNetwork, "CONNECTION_REFUSED"},
		{"not TLS", []string{plain}, exitHandshake, "NOT_TLS"},
		{"ALPN", []string{echo.address, "--cafile", echo.cafile, "--alpn", "other"}, exitHandshake, "ALPN_MISMATCH"},
		{"no ALPN", []string{mute, "--cafile", mutefile, "--alpn", "h2", "--require-alpn"}, exitHandshake, "ALPN_MISMATCH"},
		{"expired", []string{expired.address, "--cafile", expired.cafile}, exitCertificate, "CERTIFICATE_EXPIRED"},
		{"untrusted", []string{echo.address}, exitCertificate, "CERTIFICATE_UNTRUSTED_SIGNERS"},
		{"only others", []string{echo.address, "--cafile", expired.cafile, "--no-system-roots"}, exitCertificate, "CERTIFICATE_UNTRUSTED_SIGNERS"},
		{"name", []string{echo.address, "--cafile", echo.cafile, "--verify-name", "other.example"}, exitCertificate, "CERTIFICATE_PRINCIPAL_MISMATCH"},
	} {
		for _, command := range []string{"connect", "status", "status -o json", "diagnose", "diagnose -o json"} {
			t.Run(c.name+" "+command, func(t *testing.T) {
				t.Parallel()
				r := runLocal(t, command, c.args...)
				require.Equal(t, c.code, r.code, r.stderr)
				lines := strings.Split(strings.TrimSuffix(r.stderr, "\n"), "\n")
				require.Len(t, lines, 3, r.stderr)
				require.Contains(t, lines[0], "("+c.reason+")")
				require.Regexp(t, "^  side: [a-z]+$", lines[1])
				require.Regexp(t, "^  remedy: .+$", lines[2])
			})
		}
	}
}

func TestNoServiceIsANetworkFailureWithARemedy(t *testing.T) {
	t.Parallel()
	nowhere := "unix://" + t.TempDir() + "/none"
	for _, line := range []string{"connect example.com:443", "status example.com:443", "diagnose example.com:443", "listen 127.0.0.1:0 --plain", "trust list", "sessions", "capabilities"} {
		r := runWith(t.Context(), strings.NewReader(""), append(strings.Fields(line), "--server", nowhere)...)
		require.Equal(t, exitNetwork, r.code, r.stderr)
		require.Empty(t, r.stdout)
		require.Contains(t, r.stderr, nowhere)
		require.Contains(t, r.stderr, "--embedded")
	}
}

func TestGarbageIsUsage(t *testing.T) {
	t.Parallel()
	key := tlstest.NewCA(t).Leaf().KeyPEM()
	for _, args := range [][]string{
		{},
		{"nonsense"},
		{"connect"},
		{"connect", "a:1", "b:2"},
		{"connect", "example.com"},
		{"connect", "example.com:https"},
		{"connect", "example.com:0"},
		{"connect", "https://example.com:443"},
		{"connect", "example.com:443", "--nonsense"},
		{"connect", "example.com:443", "--min-version", "ssl3"},
		{"connect", "example.com:443", "--timeout", "soon"},
		{"connect", "example.com:443", "--timeout", "-1s"},
		{"connect", "example.com:443", "--no-system-roots"},
		{"connect", "example.com:443", "--require-alpn"},
		{"connect", "example.com:443", "--cafile", "/nonexistent"},
		{"connect", "example.com:443", "--cafile", writeFile(t, key)},
		{"connect", "example.com:443", "--server", "example.com:443"},
		{"connect", "example.com:443", "--server", "unix:///s", "--embedded"},
		{"connect", "example.com:443", "--egress-allow", "127.0.0.1"},
		{"connect", "example.com:443", "--embedded", "--egress-allow", "127.0.0.1/99"},
		{"status", "example.com:443", "-o", "xml"},
		{"connect", "example.com:443", "--starttls", ""},
		{"connect", "example.com:443", "--proxy", "example.com:3128"},
		{"connect", "example.com:443", "--client-cert", "a", "--client-cert", "b", "--client-key", "a"},
		{"connect", "example.com:443", "--plain", "--cafile", "a"},
		{"listen"},
		{"listen", "127.0.0.1:0"},
		{"capabilities", "--listen-allow", "10.0.0.1"},
		{"capabilities", "--embedded", "--listen-allow", "example.com"},
		{"diagnose"},
		{"diagnose", "example.com:443", "-o", "xml"},
		{"diagnose", "example.com:443", "--color", "red"},
		{"diagnose", "example.com:443", "--svg", "-", "-o", "json"},
		{"sessions", "all"},
		{"sessions", "-o", "xml"},
		{"capabilities", "-o", "xml"},
		{"demo", "--server", "unix:///s"},
	} {
		r := runWith(t.Context(), strings.NewReader(""), args...)
		require.Equal(t, exitUsage, r.code, "%v: %s", args, r.stderr)
		require.Empty(t, r.stdout, "%v", args)
		require.Equal(t, 2, strings.Count(r.stderr, "\n"), "%v: %s", args, r.stderr)
	}
}

func TestHelpAndVersion(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"--help", "connect --help", "listen --help", "help status", "--version"} {
		r := runWith(t.Context(), nil, strings.Fields(line)...)
		require.Equal(t, exitDone, r.code, line)
		require.NotEmpty(t, r.stdout, line)
		require.Empty(t, r.stderr, line)
	}
}

// A peer that speaks TLS 1.2 alone is refused by a caller who wants more.
func TestMinVersion(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	address := tlstest.Serve(t, &tls.Config{Certificates: []tls.Certificate{ca.Leaf().Certificate()}, MaxVersion: tls.VersionTLS12}, tlstest.Echo)
	cafile := writeFile(t, ca.PEM())
	require.Equal(t, exitDone, runLocal(t, "status", address, "--cafile", cafile).code)
	require.Equal(t, exitHandshake, runLocal(t, "status --min-version tls1.3", address, "--cafile", cafile).code)
}
