package main

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/tlstest"
)

// handshakeFault waits for the line about the next handshake that fails while try runs, and returns its reason.
func handshakeFault(g *gate, try func(address string)) string {
	g.tb.Helper()
	lines := func() [][]string { return handshakeLine.FindAllStringSubmatch(g.log(), -1) }
	before := len(lines())
	try(strings.TrimPrefix(g.ready[0], "grpcs://"))
	require.Eventually(g.tb, func() bool { return len(lines()) > before }, patience, time.Millisecond)
	return lines()[before][2]
}

var handshakeLine = regexp.MustCompile(`level=(\w+) msg="a caller's TLS handshake failed" address=127\.0\.0\.1:\d+ reason=(\w+) error=("[^\n]*"|\S+)`)

// TestHandshakesThatFailAreWarnedOf, in one word of a few, and once a second at most.
func TestHandshakesThatFailAreWarnedOf(t *testing.T) {
	t.Parallel()
	g := gatedBy(t, ", require_client_cert: true", allowWeb+"timeouts: {setup: 500ms}\nlimits: {connections_per_address: 1000}\n")
	shake := func(config *tls.Config) func(string) {
		return func(address string) {
			config.ServerName, config.NextProtos = "127.0.0.1", []string{"h2"}
			conn, err := tls.Dial("tcp", address, config)
			if err == nil {
				_, _ = conn.Read(make([]byte, 1)) // the alert
				_ = conn.Close()
			}
		}
	}
	raw := func(text string, wait bool) func(string) {
		return func(address string) {
			conn, err := net.Dial("tcp", address)
			require.NoError(t, err)
			defer conn.Close()
			_, err = conn.Write([]byte(text))
			require.NoError(t, err)
			if wait {
				_, _ = conn.Read(make([]byte, 1))
			}
		}
	}
	distrust := g.client(g.caller(g.ca, "web.test"))
	distrust.RootCAs = x509.NewCertPool()
	old := g.client(g.caller(g.ca, "web.test"))
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	server := g.ca.Leaf(tlstest.Names("web.test"), tlstest.ExtKeyUsage(x509.ExtKeyUsageServerAuth))
	for _, c := range []struct {
		reason string
		try    func(string)
	}{
		{"no_certificate", shake(g.client())},
		{"unknown_authority", shake(g.client(g.caller(tlstest.NewCA(t), "web.test")))},
		{"expired", shake(g.client(g.caller(g.ca, "web.test", tlstest.Expired())))},
		{"bad_certificate", shake(g.client(server))},
		{"alert", shake(distrust)},
		{"protocol", shake(old)},
		{"protocol", raw("GET / HTTP/1.1\r\n\r\n", true)},
		{"timeout", raw("\x16", true)},
		{"closed", raw("\x16\x03\x01", false)},
		{"closed", raw("", false)},
	} {
		require.Equal(t, c.reason, handshakeFault(g, c.try))
	}
	all := handshakeLine.FindAllStringSubmatch(g.log(), -1)
	require.Equal(t, "WARN", all[0][1])
	require.Equal(t, "DEBUG", all[len(all)-1][1], "who only looks whether the service is there is none")
	require.Contains(t, g.log(), "more_since_last=0")

	// However many there are.
	began := time.Now()
	for range 100 {
		require.Equal(t, "protocol", handshakeFault(g, raw("GET / HTTP/1.1\r\n\r\n", true)))
	}
	warned := 0
	for _, line := range handshakeLine.FindAllStringSubmatch(g.log(), -1)[len(all):] {
		if line[1] == "WARN" {
			warned++
		}
	}
	require.LessOrEqual(t, warned, int(time.Since(began)/time.Second)+2)
}
