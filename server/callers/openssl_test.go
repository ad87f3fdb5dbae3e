package callers

import (
	"crypto/tls"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOpenSSL shows the service's TLS to a client that is not Go's.
func TestOpenSSL(t *testing.T) {
	t.Parallel()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("openssl is not installed, and CI is set")
		}
		t.Skip("openssl is not installed")
	}
	f := newFiles(t)
	w := newWorld(t, Config{TLS: &f.TLS})
	authorities := filepath.Join(t.TempDir(), "ca.pem")
	write(t, authorities, f.ca.pem())

	// connect returns what s_client says, and whether it connected.
	connect := func(t *testing.T, args ...string) (string, bool) {
		t.Helper()
		args = append([]string{"s_client", "-connect", w.secure, "-servername", "localhost", "-CAfile", authorities, "-verify_return_error"}, args...)
		cmd := exec.CommandContext(t.Context(), openssl, args...)
		cmd.Stdin = strings.NewReader("")
		out, err := cmd.CombinedOutput()
		return string(out), err == nil
	}
	// TLS 1.1 needs level 0 on the client's side: the refusal has to be the service's.
	for _, version := range []string{"-tls1", "-tls1_1"} {
		out, ok := connect(t, version, "-cipher", "ALL:@SECLEVEL=0", "-alpn", "h2")
		require.False(t, ok, out)
		require.Contains(t, out, "alert protocol version", version)
	}
	for version, name := range map[string]string{"-tls1_2": "TLSv1.2", "-tls1_3": "TLSv1.3"} {
		out, ok := connect(t, version, "-alpn", "h2")
		require.True(t, ok, out)
		require.Contains(t, out, name)
		require.Contains(t, out, "ALPN protocol: h2")
	}
	out, ok := connect(t, "-alpn", "h2")
	require.True(t, ok, out)
	require.Contains(t, out, "TLSv1.3", "what both prefer")
	require.NotContains(t, out, "Start Time:", "a session ticket")

	out, ok = connect(t, "-alpn", "imap")
	require.False(t, ok, out)
	require.Contains(t, out, "alert no application protocol")
	for _, suites := range []string{"AES128-GCM-SHA256:AES256-SHA", "ECDHE-ECDSA-AES128-SHA"} { // RFC 9113 appendix A
		out, ok = connect(t, "-tls1_2", "-cipher", suites, "-alpn", "h2")
		require.False(t, ok, out)
		require.Contains(t, out, "alert handshake failure")
	}
}

func TestCallersMustAskForHTTP2(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	w := newWorld(t, Config{TLS: &f.TLS})
	// crypto/tls lets HTTP/1.1 pass, for the sake of fallbacks.
	for _, alpn := range [][]string{nil, {"http/1.1"}} {
		raw, err := new(net.Dialer).DialContext(t.Context(), "tcp", w.secure)
		require.NoError(t, err)
		defer raw.Close()
		config := f.client()
		config.NextProtos = alpn
		conn := tls.Client(raw, config)
		require.NoError(t, conn.HandshakeContext(t.Context()))
		n, err := conn.Read(make([]byte, 1))
		require.Error(t, err)
		require.Zero(t, n, "no frame of HTTP/2")
	}
}
