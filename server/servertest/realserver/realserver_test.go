//go:build unix

package realserver_test

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"securesocket/server/servertest/realserver"
	"securesocket/tlsengine/tlstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func find(tb testing.TB, names ...string) string {
	tb.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		require.Fail(tb, names[0]+" is not installed")
	}
	tb.Skip(names[0] + " is not installed")
	return ""
}

// start runs one server and returns where it speaks what, by openssl's names.
type start func(testing.TB, realserver.Config) (addrs map[string]string)

func speaking(protocol string, f func(testing.TB, realserver.Config) string) start {
	return func(tb testing.TB, c realserver.Config) map[string]string {
		return map[string]string{protocol: f(tb, c)}
	}
}

func servers() map[string]start {
	return map[string]start{
		"Exim":       speaking("smtp", realserver.Exim),
		"OpenLDAP":   speaking("ldap", realserver.OpenLDAP),
		"PostgreSQL": speaking("postgres", realserver.PostgreSQL),
		"MariaDB":    speaking("mysql", realserver.MariaDB),
		"VSFTPD":     speaking("ftp", realserver.VSFTPD),
		"Prosody":    speaking("xmpp", realserver.Prosody),
		"Dovecot": func(tb testing.TB, c realserver.Config) map[string]string {
			at := realserver.Dovecot(tb, c)
			return map[string]string{"imap": at.IMAP, "pop3": at.POP3, "lmtp": at.LMTP, "sieve": at.Sieve}
		},
	}
}

// The servers are as they should be: OpenSSL goes into TLS with each, and not
// where there is none.
func TestOpenSSLGoesIntoTLS(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	leaf := ca.Leaf()
	anchor := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(anchor, ca.PEM(), 0o600))
	for name, start := range servers() {
		for _, hasTLS := range []bool{true, false} {
			t.Run(name+map[bool]string{true: " with TLS", false: " without TLS"}[hasTLS], func(t *testing.T) {
				t.Parallel()
				openssl := find(t, "openssl")
				c := realserver.Config{Find: find}
				if hasTLS {
					c.Certificate, c.Key = leaf.ChainPEM(), leaf.KeyPEM()
				}
				for protocol, addr := range start(t, c) {
					if protocol == "xmpp" && !hasTLS {
						continue // OpenSSL would wait for the offer for ever
					}
					cmd := exec.CommandContext(t.Context(), openssl, "s_client", "-connect", addr, "-starttls", protocol,
						"-xmpphost", "localhost", "-CAfile", anchor, "-verify_return_error", "-verify_ip", "127.0.0.1")
					cmd.Stdin = strings.NewReader("Q\n")
					out, err := cmd.CombinedOutput()
					require.Equal(t, hasTLS, err == nil, "%s: %v: %s", protocol, err, out)
				}
			})
		}
	}
}

// Nothing of a server is left when its test is over, not even what serves a
// client.
func TestServersEndWithTheirTest(t *testing.T) {
	t.Parallel()
	leaf := tlstest.NewCA(t).Leaf()
	for name, start := range servers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var clients []net.Conn
			t.Run("while it lasts", func(t *testing.T) {
				for _, addr := range start(t, realserver.Config{Find: find, Certificate: leaf.ChainPEM(), Key: leaf.KeyPEM()}) {
					client, err := net.Dial("tcp", addr)
					require.NoError(t, err)
					clients = append(clients, client)
					if name == "PostgreSQL" { // it would wait for a client
						_ = client.Close()
					}
				}
			})
			for _, client := range clients {
				_, _ = io.Copy(io.Discard, client)
				_, err := net.Dial("tcp", client.RemoteAddr().String())
				require.ErrorIs(t, err, syscall.ECONNREFUSED)
				_ = client.Close()
			}
		})
	}
}
