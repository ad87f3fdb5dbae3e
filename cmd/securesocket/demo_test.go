package main

import (
	"crypto/tls"
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/client"
	"securesocket/cmd/securesocket/internal/terminal"
	pb "securesocket/gen/securesocket/v1"
)

func TestDemo(t *testing.T) {
	t.Parallel()
	r := runWith(t.Context(), nil, "demo")
	require.Equal(t, exitDone, r.code, r.stdout+r.stderr)
	require.Empty(t, r.stderr)
	rest := r.stdout
	for _, part := range []string{ // in this order
		"host_found", "tcp_connected", "secure_connected", "remote_closed", "closed", "TRUSTED", "sent", "received",
		"EXPIRED", "CERTIFICATE_EXPIRED", "remedy",
		"PRINCIPAL_MISMATCH", "HOST_NAME_MISMATCH", "remedy",
		"UNTRUSTED_SIGNERS", "UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE", "remedy",
		"TRUSTED", "received", "5 of 5",
	} {
		_, after, found := strings.Cut(rest, part)
		require.True(t, found, "%s is not where it should be:\n%s", part, r.stdout)
		rest = after
	}
	require.LessOrEqual(t, strings.Count(r.stdout, "\n"), 45)
	require.NotContains(t, r.stdout, "WRONG")
}

// A demo that shows something else than it says is a failure.
func TestDemoChecksItself(t *testing.T) {
	t.Parallel()
	config, err := embeddedConfig([]string{"127.0.0.0/8"}, nil, false)
	require.NoError(t, err)
	config.Resolver = demoResolver{}
	c, end, err := openEmbedded(config)
	require.NoError(t, err)
	defer end()
	p := startPeer(t, func(conn *tls.Conn) { _ = conn.Close() })
	to, err := parseTarget(p.address)
	require.NoError(t, err)
	anchors, err := readAnchors("--cafile", []string{p.cafile})
	require.NoError(t, err)
	peer := target{demoHost, to.port}.String()
	trusting := client.Dialer{Client: c, RootCAs: anchors}
	var out terminal.Text
	require.Error(t, demoEcho(t.Context(), &out, trusting, peer, false), "it echoes nothing")
	expired := demoRefused(trusting, pb.ErrorReason_ERROR_REASON_CERTIFICATE_EXPIRED, pb.CertificateStatus_CERTIFICATE_STATUS_EXPIRED)
	require.Error(t, expired(t.Context(), &out, peer), "it is accepted")
	expired = demoRefused(client.Dialer{Client: c}, pb.ErrorReason_ERROR_REASON_CERTIFICATE_EXPIRED, pb.CertificateStatus_CERTIFICATE_STATUS_EXPIRED)
	require.Error(t, expired(t.Context(), &out, peer), "it is refused for another reason")
}

// failingWriter is a stdout that cannot be written.
type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func TestStdoutThatFails(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"demo", "capabilities --embedded", "sessions --embedded"} {
		for want, err := range map[int]error{exitOther: errors.New("full"), exitDone: syscall.EPIPE} {
			var stderr strings.Builder
			require.Equal(t, want, run(t.Context(), strings.Fields(line), nil, failingWriter{err}, &stderr), line)
			require.Equal(t, want == exitDone, stderr.String() == "", line)
		}
	}
}
