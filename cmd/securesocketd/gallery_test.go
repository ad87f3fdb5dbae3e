package main

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/url"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGalleryServesUntilItIsStopped(t *testing.T) {
	t.Parallel()
	d := start(t, 1, nil, "gallery", "--listen", "127.0.0.1:0")
	page, err := url.Parse(d.ready[0])
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(fetch(t, d.ready[0]+"root.pem")))
	require.Contains(t, string(fetch(t, d.ready[0])), "expired.gallery.test")

	for name, trusted := range map[string]bool{"good.gallery.test": true, "expired.gallery.test": false} {
		conn, err := (&tls.Dialer{Config: &tls.Config{RootCAs: pool, ServerName: name}}).DialContext(t.Context(), "tcp", page.Host)
		if trusted {
			require.NoError(t, err)
			require.NoError(t, conn.Close())
			continue
		}
		var invalid x509.CertificateInvalidError
		require.ErrorAs(t, err, &invalid)
		require.Equal(t, x509.Expired, invalid.Reason)
	}
	require.NoError(t, d.cmd.Process.Signal(syscall.SIGTERM))
	require.Zero(t, d.exit(t), d.log())
}

func TestGalleryIsForThisMachineAlone(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"0.0.0.0:0", "[::]:0", "192.0.2.1:0", "localhost", ":0", "127.0.0.1:99999"} {
		require.Contains(t, fails(t, exitUsage, "gallery", "--listen", address), "--listen", address)
	}
	require.Contains(t, fails(t, exitUsage, "gallery", "nonsense"), "nonsense")
	require.Contains(t, fails(t, exitUsage, "gallery", "--insecure"), "--insecure")
}

func fetch(tb testing.TB, url string) []byte {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, url, nil)
	require.NoError(tb, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(tb, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(tb, err)
	require.Equal(tb, http.StatusOK, resp.StatusCode, string(body))
	return body
}
