package main

import (
	"crypto/x509"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/tlstest"
)

func TestListenPipesTheFirstSession(t *testing.T) {
	t.Parallel()
	stdin, feed := io.Pipe()
	defer feed.Close()
	l := startListen(t, stdin)
	conn, err := l.dial(t, nil)
	require.NoError(t, err)
	go func() {
		_, _ = feed.Write([]byte("from stdin"))
		feed.Close()
	}()
	got, err := converse(conn, "from the client")
	require.NoError(t, err)
	require.Equal(t, "from stdin", got)
	require.Equal(t, exitDone, l.exit(t), l.said())
	require.Equal(t, "from the client", l.wrote())
	require.Equal(t, "listening "+l.address+"\n", l.said())
}

// Who comes after the first is not let in.
func TestListenLetsOneIn(t *testing.T) {
	t.Parallel()
	stdin, hold := io.Pipe()
	defer hold.Close()
	l := startListen(t, stdin, "--verbose")
	conn, err := l.dial(t, nil)
	require.NoError(t, err)
	_, err = conn.Write([]byte("x"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return l.wrote() == "x" }, patience, time.Millisecond)
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", l.address)
		if err == nil {
			conn.Close()
		}
		return err != nil
	}, patience, time.Millisecond)
	require.Regexp(t, "secure_connected .*, no certificate\n", l.said())
	tlstest.CloseNotify(conn)
	hold.Close()
	require.Equal(t, exitDone, l.exit(t), l.said())
}

func TestListenTruncated(t *testing.T) {
	t.Parallel()
	l := startListen(t, strings.NewReader(""), "--no-half-close")
	conn, err := l.dial(t, nil)
	require.NoError(t, err)
	_, err = conn.Write([]byte("half of it"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return l.wrote() == "half of it" }, patience, time.Millisecond)
	require.NoError(t, conn.NetConn().Close())
	require.Equal(t, exitTruncated, l.exit(t), l.said())
	require.Contains(t, l.said(), "(PEER_TRUNCATED)")
}

func TestListenPlain(t *testing.T) {
	t.Parallel()
	l := startListen(t, strings.NewReader("answer"), "--plain")
	conn, err := net.Dial("tcp", l.address)
	require.NoError(t, err)
	defer conn.Close()
	got, err := converse(conn.(*net.TCPConn), "question")
	require.NoError(t, err)
	require.Equal(t, "answer", got)
	require.Equal(t, exitDone, l.exit(t), l.said())
	require.Equal(t, "question", l.wrote())
}

func TestListenInterruptedBeforeAnybodyComes(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--exec", "cat"}, {"--to", "127.0.0.1:1"}} {
		l := startListen(t, strings.NewReader(""), args...)
		l.cancel()
		require.Equal(t, exitInterrupted, l.exit(t), l.said())
		_, err := net.Dial("tcp", l.address)
		require.Error(t, err)
	}
}

// Both the commands of the command line, back to back.
func TestListenAndConnect(t *testing.T) {
	t.Parallel()
	address, _ := startService(t)
	clients := tlstest.NewCA(t)
	cert, key := clients.Leaf(tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth)).WriteFiles(t.TempDir())
	stdin, answer := io.Pipe()
	l := startListen(t, stdin, "--server", address, "--client-ca", writeFile(t, clients.PEM()), "--alpn", "demo/1")
	go func() {
		defer answer.Close()
		for over := time.Now().Add(patience); l.wrote() != "question" && time.Now().Before(over); time.Sleep(time.Millisecond) {
		}
		_, _ = io.WriteString(answer, "answer")
	}()
	r := runWith(t.Context(), strings.NewReader("question"), "connect", l.address, "--server", address, "--alpn", "demo/1", "--require-alpn",
		"--cafile", writeFile(t, l.ca.PEM()), "--client-cert", cert, "--client-key", key)
	require.Equal(t, exitDone, r.code, r.stderr)
	require.Equal(t, "answer", r.stdout)
	require.Equal(t, exitDone, l.exit(t), l.said())
	require.Equal(t, "question", l.wrote())
}
