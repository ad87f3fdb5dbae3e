package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"securesocket/client"
	"securesocket/server"
	"securesocket/session"
	"securesocket/tlsengine/tlstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// result is how a run of the program ended.
type result struct {
	code           int
	stdout, stderr string
}

// runWith runs the program in this process.
func runWith(ctx context.Context, stdin io.Reader, args ...string) result {
	var stdout, stderr bytes.Buffer
	code := run(ctx, args, stdin, &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

// local are the flags of an embedded service that reaches the loopback.
var local = []string{"--embedded", "--egress-allow", "127.0.0.0/8"}

// runLocal runs the program with an embedded service and the words of line, and without stdin.
func runLocal(t *testing.T, line string, args ...string) result {
	t.Helper()
	return runWith(t.Context(), strings.NewReader(""), append(append(strings.Fields(line), args...), local...)...)
}

// startService runs the service on a Unix socket until the test ends.
func startService(t *testing.T) (address string, c *client.Client) {
	t.Helper()
	config, err := embeddedConfig([]string{"127.0.0.0/8"}, nil, false)
	require.NoError(t, err)
	dir, err := os.MkdirTemp("", "ss") // t.TempDir's may be too long for a socket
	require.NoError(t, err)
	path := filepath.Join(dir, "s")
	listener, err := net.Listen("unix", path)
	require.NoError(t, err)
	service := server.New(server.Config{Registry: session.NewRegistry(config)})
	done := make(chan error, 1)
	go func() { done <- service.Serve(listener) }()
	c, err = client.Dial("unix://" + path)
	require.NoError(t, err)
	t.Cleanup(func() {
		c.Close()
		service.Close()
		<-done
		os.RemoveAll(dir)
	})
	return "unix://" + path, c
}

// peer is a TLS server with a certificate of an authority of its own.
type peer struct {
	address string
	cafile  string // the authority's certificate, PEM
}

func startPeer(t *testing.T, handle func(*tls.Conn), options ...tlstest.Option) peer {
	t.Helper()
	ca := tlstest.NewCA(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.Leaf(options...).Certificate()}, NextProtos: []string{"demo/1"}}
	return peer{tlstest.Serve(t, config, handle), writeFile(t, ca.PEM())}
}

func readFile(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	return content
}

func writeFile(t *testing.T, content []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file.pem")
	require.NoError(t, os.WriteFile(file, content, 0o600))
	return file
}
