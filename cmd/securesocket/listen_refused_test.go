package main

import (
	"context"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/tlstest"
)

// What the operator allows, what the system has, and what is an address at all.
func TestListenRefused(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for _, c := range []struct {
		args   []string
		code   int
		reason string
		remedy string
	}{
		{[]string{"0.0.0.0:0"}, exitPolicy, "LISTEN_DENIED", "--listen-allow"},
		{[]string{"[::]:0"}, exitPolicy, "LISTEN_DENIED", "--listen-allow"},
		{[]string{"192.0.2.1:8443", "--listen-allow", "192.0.2.1:8444"}, exitPolicy, "LISTEN_DENIED", "--listen-allow"},
		{[]string{"127.0.0.1:0", "--listen-allow", "none"}, exitPolicy, "LISTEN_DENIED", "--listen-allow"},
		{[]string{taken.Addr().String()}, exitNetwork, "ADDRESS_IN_USE", "port 0"},
		{[]string{"192.0.2.1:0", "--listen-allow", "192.0.2.1"}, exitNetwork, "ADDRESS_UNAVAILABLE", "address"},
		{[]string{"example.com:8443"}, exitUsage, "INVALID_FIELD", ""},
		{[]string{"127.0.0.1:0", "--min-version", "tls1.0"}, exitUsage, "UNSUPPORTED_PROTOCOL", ""},
		{[]string{"127.0.0.1:0", "--identity", "nobody's"}, exitUsage, "INVALID_FIELD", ""},
	} {
		args := append([]string{"listen", "--embedded"}, c.args...)
		if !slices.Contains(args, "--identity") {
			cert, key := tlstest.NewCA(t).Leaf().WriteFiles(t.TempDir())
			args = append(args, "--cert", cert, "--key", key)
		}
		r := runWith(t.Context(), strings.NewReader(""), args...)
		require.Equal(t, c.code, r.code, "%v: %s", c.args, r.stderr)
		require.Contains(t, r.stderr, "("+c.reason+")", "%v", c.args)
		require.Contains(t, r.stderr, c.remedy)
		require.NotContains(t, r.stderr, "listening 1", "%v", c.args)
		require.Empty(t, r.stdout)
	}
}

func TestListenWhereItIsAllowed(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var l listenRun
	l.began, l.done = make(chan struct{}), make(chan int, 1)
	go func() {
		<-l.began
		cancel()
	}()
	code := run(ctx, strings.Fields("listen 0.0.0.0:0 --plain --embedded --listen-allow 0.0.0.0:20000-60000"), strings.NewReader(""), io.Discard, output{&l, &l.stderr})
	require.Equal(t, exitInterrupted, code, l.said())
	require.Regexp(t, `^listening 0\.0\.0\.0:[2-6]\d{4}\n`, l.said())
}

func TestListenUsage(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	cert, key := ca.Leaf().WriteFiles(t.TempDir())
	cafile := writeFile(t, ca.PEM())
	pair := []string{"127.0.0.1:0", "--cert", cert, "--key", key}
	with := func(args ...string) []string { return append(pair[:len(pair):len(pair)], args...) }
	for _, args := range [][]string{
		{},
		{"127.0.0.1:0"},
		{"127.0.0.1:0", "127.0.0.1:0", "--plain"},
		{"127.0.0.1", "--plain"},
		{":8443", "--plain"},
		{"127.0.0.1:65536", "--plain"},
		{"127.0.0.1:https", "--plain"},
		{"127.0.0.1:-1", "--plain"},
		{"::1:8443", "--plain"},
		{"[127.0.0.1]:8443", "--plain"},
		{"127.0.0.1:0", "--cert", cert},
		{"127.0.0.1:0", "--key", key},
		{"127.0.0.1:0", "--cert", key, "--key", cert},
		with("--cert", cert),
		with("--plain"),
		with("--client-ca", "/nonexistent"),
		with("--client-ca", key),
		with("--client-ca", cafile, "--client-auth", "none"),
		with("--client-auth", "maybe"),
		with("--verify-name", "a"),
		with("--revocation", "hard"),
		with("--require-alpn"),
		with("--exec", "cat", "--to", "127.0.0.1:1"),
		with("--exec", " "),
		with("--to", "127.0.0.1"),
		with("--to", ""),
		with("--max-sessions", "2"),
		with("--exec", "cat", "--max-sessions", "0"),
		with("--exec", "cat", "--no-half-close"),
		with("--client-cert", cert),
		with("--starttls", "smtp"),
		{"127.0.0.1:0", "--plain", "--alpn", "h2"},
		{"127.0.0.1:0", "--plain", "--client-ca", cafile},
		{"127.0.0.1:0", "--plain", "--embedded", "--listen-allow", "nonsense"},
	} {
		if !strings.Contains(strings.Join(args, " "), "--embedded") {
			args = append(args, local...)
		}
		r := runWith(t.Context(), strings.NewReader(""), append([]string{"listen"}, args...)...)
		require.Equal(t, exitUsage, r.code, "%v: %s", args, r.stderr)
		require.Equal(t, 2, strings.Count(r.stderr, "\n"), "%v: %s", args, r.stderr)
		require.Empty(t, r.stdout)
	}
	r := runWith(t.Context(), nil, "listen", "127.0.0.1:0", "--plain", "--listen-allow", "10.0.0.1")
	require.Equal(t, exitUsage, r.code, "a daemon has its own: %s", r.stderr)
}
