package truststore_test

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"securesocket/tlsengine/tlstest"
	"securesocket/tlsengine/truststore"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

func TestSystemIsCryptoX509s(t *testing.T) {
	t.Parallel()
	want, err := x509.SystemCertPool()
	require.NoError(t, err)
	if want.Equal(x509.NewCertPool()) {
		t.Skip("this machine has no anchors")
	}
	if len(want.Subjects()) == 0 { //nolint:staticcheck // what is deprecated is the case that is asked for
		t.Skip("crypto/x509 asks this operating system about each chain")
	}
	s, err := truststore.LoadSystem(truststore.SystemConfig{
		CertFile: os.Getenv("SSL_CERT_FILE"), CertDirs: os.Getenv("SSL_CERT_DIR"),
	})
	require.NoError(t, err)
	require.True(t, want.Equal(s.Pool()))
	require.Empty(t, s.Intermediates())
}

func write(t *testing.T, path string, content []byte) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

func TestSystemPlaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b, c, d := tlstest.NewCA(t), tlstest.NewCA(t), tlstest.NewCA(t), tlstest.NewCA(t)
	broken := "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
	file := write(t, filepath.Join(dir, "file.pem"), append([]byte(broken), a.PEM()...))
	write(t, filepath.Join(dir, "one", "b.pem"), append(b.PEM(), a.PEM()...))
	require.NoError(t, os.Symlink("b.pem", filepath.Join(dir, "one", "0123abcd.0")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "one", "folder"), 0o700))
	elsewhere := write(t, filepath.Join(dir, "elsewhere", "c.pem"), c.PEM())
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "two"), 0o700))
	require.NoError(t, os.Symlink(elsewhere, filepath.Join(dir, "two", "c.pem")))
	write(t, filepath.Join(dir, "two", "d.der"), d.DER()) // only PEM is read

	s, err := truststore.LoadSystem(truststore.SystemConfig{
		CertFile: file,
		CertDirs: filepath.Join(dir, "one") + string(os.PathListSeparator) + filepath.Join(dir, "gone") +
			string(os.PathListSeparator) + filepath.Join(dir, "two"),
	})
	require.NoError(t, err)
	require.Equal(t, [][]byte{a.DER(), b.DER(), c.DER()}, raws(s.Anchors()))
}

// A place that somebody chose and that gives nothing is never replaced by a wider list.
func TestSystemChoiceIsNotWidened(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	gone := filepath.Join(dir, "gone")
	for _, cfg := range []truststore.SystemConfig{
		{CertFile: gone, CertDirs: gone},
		{CertFile: write(t, filepath.Join(dir, "empty", "a.pem"), nil), CertDirs: filepath.Join(dir, "empty")},
		{CertFile: dir, CertDirs: gone}, // is there and is no file
	} {
		s, err := truststore.LoadSystem(cfg)
		var bad *truststore.SystemError
		require.ErrorAs(t, err, &bad)
		require.Zero(t, s.Len())
	}
}

func TestBundledKeepsDistrustDates(t *testing.T) {
	t.Parallel()
	s, err := truststore.Bundled()
	require.NoError(t, err)
	require.Greater(t, len(s.Anchors()), 100)
	entries, constrained := s.Entries(), 0
	i := 0
	for root := range bundle.Roots() {
		require.Equal(t, root.Certificate, entries[i].Cert.Raw)
		if root.Constraint != nil {
			constrained++
			require.Error(t, entries[i].Constraint([]*x509.Certificate{{NotBefore: time.Now().AddDate(100, 0, 0)}}))
		}
		i++
	}
	require.Positive(t, constrained, "the test needs a root with a date")
	require.Len(t, entries, i)
}
