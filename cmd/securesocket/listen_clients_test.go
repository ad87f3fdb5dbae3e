package main

import (
	"context"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/tlstest"
)

// findProgram finds a program that a test talks to, or skips the test; where CI is set it has to be there.
func findProgram(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") != "" {
		require.Fail(t, name+" is not installed")
	}
	t.Skip(name + " is not installed")
	return ""
}

// runProgram runs it to its end.
func runProgram(t *testing.T, stdin, path string, args ...string) (stdout string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.Output()
	return string(out), err
}

// clientFiles are a certificate for a client and its key, and the authority's.
func clientFiles(t *testing.T) (cert, key, cafile string) {
	t.Helper()
	ca := tlstest.NewCA(t)
	cert, key = ca.Leaf(tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth)).WriteFiles(t.TempDir())
	return cert, key, writeFile(t, ca.PEM())
}

func TestListenToOpenSSL(t *testing.T) {
	t.Parallel()
	openssl := findProgram(t, "openssl")
	cert, key, clientCA := clientFiles(t)
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		open := startListen(t, strings.NewReader(""), "--alpn", "demo/1", "--exec", "read line; echo \"got $line by $SECURESOCKET_ALPN\"")
		client := func(l *listenRun, more ...string) (string, error) {
			args := append([]string{"s_client", version, "-quiet", "-verify_return_error", "-verify_hostname", "localhost", "-servername", "localhost",
				"-connect", l.address, "-CAfile", writeFile(t, l.ca.PEM())}, more...)
			return runProgram(t, "hello\n", openssl, args...)
		}
		got, err := client(open, "-alpn", "demo/1")
		require.NoError(t, err, open.said())
		require.Equal(t, "got hello by demo/1\n", got, version)

		closed := startListen(t, strings.NewReader(""), "--client-ca", clientCA, "--exec", "head -n 1")
		got, err = client(closed, "-cert", cert, "-key", key)
		require.NoError(t, err, closed.said())
		require.Equal(t, "hello\n", got, version)
		got, _ = client(closed)
		require.Empty(t, got, version)
	}
}

func TestListenToCurl(t *testing.T) {
	t.Parallel()
	curl := findProgram(t, "curl")
	cert, key, clientCA := clientFiles(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:gosec // no timeouts: it has one client
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, r.URL.Path+" "+string(body))
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Close()
		<-served
	})
	l := startListen(t, strings.NewReader(""), "--to", listener.Addr().String(), "--client-ca", clientCA, "--alpn", "http/1.1")
	_, port, err := net.SplitHostPort(l.address)
	require.NoError(t, err)
	url := "https://localhost:" + port + "/path"
	common := []string{"--silent", "--show-error", "--noproxy", "*", "--cacert", writeFile(t, l.ca.PEM()), "--resolve", "localhost:" + port + ":127.0.0.1"}
	got, err := runProgram(t, "", curl, append(common, "--cert", cert, "--key", key, "--data", "body", url, url)...)
	require.NoError(t, err, l.said())
	require.Equal(t, "/path body/path body", got)
	_, err = runProgram(t, "", curl, append(common, url)...)
	require.Error(t, err)

	answer := startListen(t, strings.NewReader("HTTP/1.0 200 OK\r\n\r\nhello"))
	_, port, err = net.SplitHostPort(answer.address)
	require.NoError(t, err)
	got, err = runProgram(t, "", curl, "--silent", "--show-error", "--noproxy", "*", "--cacert", writeFile(t, answer.ca.PEM()), "https://localhost:"+port+"/")
	require.NoError(t, err, answer.said())
	require.Equal(t, "hello", got)
	require.Equal(t, exitDone, answer.exit(t), answer.said())
	require.Contains(t, answer.wrote(), "GET / HTTP/1.1\r\n")
}
