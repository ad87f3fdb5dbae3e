package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/tlstest"
)

// echoRaw sends back what it gets, and ends after the client's end.
func echoRaw(conn net.Conn) { _, _ = io.Copy(conn, conn) }

func TestConnectPlain(t *testing.T) {
	t.Parallel()
	echo := tlstest.ServeRaw(t, echoRaw)
	sent := make([]byte, 3<<20)
	_, _ = rand.Read(sent)
	for _, more := range [][]string{nil, {"--resumable"}} {
		var stdout, stderr bytes.Buffer
		args := append(append([]string{"connect", "--plain", echo}, more...), local...)
		code := run(t.Context(), args, bytes.NewReader(sent), &stdout, &stderr)
		require.Equal(t, exitDone, code, stderr.String())
		require.True(t, bytes.Equal(sent, stdout.Bytes()))
		require.Empty(t, stderr.String())
	}
}

// Without TLS a FIN is an end in order, and a reset is none.
func TestConnectPlainEnds(t *testing.T) {
	t.Parallel()
	fin := tlstest.ServeRaw(t, func(conn net.Conn) { _, _ = conn.Write([]byte("bye")) })
	r := runLocal(t, "connect --plain -v", fin)
	require.Equal(t, exitDone, r.code, r.stderr)
	require.Equal(t, "bye", r.stdout)
	require.Contains(t, r.stderr, "PEER_FIN")

	reset := tlstest.ServeRaw(t, func(conn net.Conn) {
		_, _ = io.ReadFull(conn, make([]byte, 1))
		_ = conn.(*net.TCPConn).SetLinger(0)
	})
	r = runWith(t.Context(), strings.NewReader("x"), append([]string{"connect", "--plain", "--no-half-close", reset}, local...)...)
	require.Equal(t, exitNetwork, r.code, r.stderr)
	require.Contains(t, r.stderr, "(PEER_RESET)")
}

func TestConnectPlainInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	peer := tlstest.ServeRaw(t, func(conn net.Conn) {
		cancel()
		_, err := io.ReadAll(conn)
		ended <- err
	})
	stdin, hold := io.Pipe()
	defer hold.Close()
	r := runWith(ctx, stdin, append([]string{"connect", "--plain", peer}, local...)...)
	require.Equal(t, exitInterrupted, r.code, r.stderr)
	<-ended
}

func TestConnectPlainRefusesWhatIsAboutTLS(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"--starttls smtp", "--on-problem accept", "--on-problem refuse", "--no-system-roots", "--alpn h2", "--server-name a", "--server-name=",
		"--min-version 1.3", "--verify-name a", "--revocation off", "--group x25519", "--no-resumption", "--identity a", "--require-alpn=false",
	} {
		r := runLocal(t, "connect --plain 127.0.0.1:1 "+line)
		require.Equal(t, exitUsage, r.code, "%s: %s", line, r.stderr)
		require.Contains(t, r.stderr, strings.Split(strings.Fields(line)[0], "=")[0])
	}
}
