package main

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/tlstest"
)

// TestRefusedCertificatesAreCounted: those of handshakes too, of which no RPC tells; and nothing else that ends a handshake.
func TestRefusedCertificatesAreCounted(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "ss") // t.TempDir's may be too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "admin")
	g := gatedBy(t, ", require_client_cert: true", allowWeb+"admin: {listen: \"unix://"+path+"\"}\n")
	shake := func(config *tls.Config) func(string) {
		return func(address string) {
			config.ServerName, config.NextProtos = "127.0.0.1", []string{"h2"}
			if conn, err := tls.Dial("tcp", address, config); err == nil {
				_, _ = conn.Read(make([]byte, 1)) // the alert
				_ = conn.Close()
			}
		}
	}
	distrust := g.client(g.caller(g.ca, "web.test"))
	distrust.RootCAs = tlstest.NewCA(t).Pool()
	require.Equal(t, "no_certificate", handshakeFault(g, shake(g.client())))
	require.Equal(t, "unknown_authority", handshakeFault(g, shake(g.client(g.caller(tlstest.NewCA(t), "web.test")))))
	require.Equal(t, "alert", handshakeFault(g, shake(distrust)))
	operators := operator{addr: &net.UnixAddr{Name: path, Net: "unix"}, host: "whatever"}
	soon(t, "both are counted", func() bool { // the log has them a moment before
		return strings.Contains(operators.ask(t, "GET", "/metrics").body, "securesocket_authentication_failures_total{fault=\"handshake\"} 2\n")
	})
}
