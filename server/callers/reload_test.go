package callers

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// journal is a log that a test reads.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) lines(level string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.text.String(), "level="+level)
}

func (j *journal) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// shown returns the serial number of the certificate that a new connection is shown.
func shown(t *testing.T, w *world, f *files) string {
	t.Helper()
	var serial string
	config := f.client()
	config.VerifyPeerCertificate = func(_ [][]byte, chains [][]*x509.Certificate) error {
		serial = chains[0][0].SerialNumber.String()
		return nil
	}
	_, err := w.who(w.dial(w.secure, config))
	require.ErrorIs(t, err, ErrNoCredentials)
	return serial
}

func TestNewCertificateIsShown(t *testing.T) {
	t.Parallel()
	var c clock
	var log journal
	f := newFiles(t)
	w := newWorld(t, Config{TLS: &f.TLS, Now: c.now, Logger: log.logger()})
	old := shown(t, w, f)
	require.Equal(t, f.server.Leaf.SerialNumber.String(), old)

	key, err := os.ReadFile(f.KeyFile)
	require.NoError(t, err)
	f.newServer(t)
	write(t, f.KeyFile, key) // of the old certificate
	for range 3 {
		c.forward(2 * pollEvery)
		require.Equal(t, old, shown(t, w, f), "a pair that does not fit changes nothing")
	}
	require.Equal(t, 1, log.lines("ERROR"), "said once")

	f.newServer(t)
	c.forward(2 * pollEvery)
	require.Equal(t, f.server.Leaf.SerialNumber.String(), shown(t, w, f))
	require.Equal(t, 1, log.lines("INFO"))

	require.NoError(t, os.Remove(f.CertFile))
	var fe *FileError
	require.ErrorAs(t, w.callers.Reload(), &fe)
	require.Equal(t, f.CertFile, fe.File)
	require.ErrorIs(t, fe, os.ErrNotExist)
	require.Equal(t, f.server.Leaf.SerialNumber.String(), shown(t, w, f))
	require.Equal(t, 2, log.lines("ERROR"))
}

func TestAuthorityTakenAwayEndsItsCallers(t *testing.T) {
	t.Parallel()
	var c clock
	f := newFiles(t)
	w := newWorld(t, Config{TLS: &f.TLS, Now: c.now})
	conn := w.dial(w.secure, f.client(f.ca.leaf(x509.Certificate{DNSNames: []string{"a.example"}})))
	_, err := w.who(conn)
	require.NoError(t, err)

	other := newCA(t)
	write(t, f.ClientCAFile, append(other.pem(), f.ca.pem()...))
	c.forward(2 * pollEvery)
	_, err = w.who(conn)
	require.NoError(t, err)

	write(t, f.ClientCAFile, other.pem())
	c.forward(2 * pollEvery)
	_, err = w.who(conn)
	w.refusedCertificate(err, CertificateUntrusted)
	p, err := w.who(w.dial(w.secure, f.client(other.leaf(x509.Certificate{DNSNames: []string{"b.example"}}))))
	require.NoError(t, err)
	require.Equal(t, "dns:b.example", p)
}

func TestRevokedTokenIsRefused(t *testing.T) {
	t.Parallel()
	var c clock
	var log journal
	file := filepath.Join(t.TempDir(), "tokens")
	kept, lost := NewToken(), NewToken()
	line := func(name, token string) string { return name + " " + HashToken([]byte(token)) + "\n" }
	write(t, file, []byte(line("a", kept)+line("b", lost)))
	w := newWorld(t, Config{TokensFile: file, Now: c.now, Logger: log.logger()})
	conn := w.dial(w.unix, nil)
	p, err := w.who(conn, "Bearer "+lost)
	require.NoError(t, err)
	require.Equal(t, "token:b", p)

	write(t, file, []byte(line("a", kept)))
	c.forward(2 * pollEvery)
	_, err = w.who(conn, "Bearer "+lost)
	w.refusedToken(err, TokenUnknown)
	_, err = w.who(conn, "Bearer "+kept)
	require.NoError(t, err)

	write(t, file, []byte("nonsense"))
	c.forward(2 * pollEvery)
	_, err = w.who(conn, "Bearer "+kept)
	require.NoError(t, err, "what was read before stays in force")
	require.Equal(t, 1, log.lines("ERROR"))

	c.forward(-time.Hour) // a clock set back stops no look
	write(t, file, nil)
	_, err = w.who(conn, "Bearer "+kept)
	w.refusedToken(err, TokenUnknown)
	require.NotContains(t, log.text.String(), kept)
}

// TestSameSizeSameTime: a file written again in place, with as many bytes, before
// the file system's clock moved.
func TestSameSizeSameTime(t *testing.T) {
	t.Parallel()
	var c clock
	file := filepath.Join(t.TempDir(), "tokens")
	at := time.Now()
	put := func(text string) {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		require.NoError(t, os.Chtimes(file, at, at))
	}
	first, second := NewToken(), NewToken()
	put("a " + HashToken([]byte(first)) + "\n")
	parse := func(contents [][]byte) (*tokens, error) { return parseTokens(file, contents[0]) }
	s, err := newSource(slog.New(slog.DiscardHandler), c.now, parse, file)
	require.NoError(t, err)
	known := func(token string) bool {
		c.forward(2 * pollEvery)
		_, err := s.get().principal(token)
		return err == nil
	}
	require.True(t, known(first))
	put("a " + HashToken([]byte(second)) + "\n")
	require.True(t, known(second))
	require.False(t, known(first))

	at = at.Add(-time.Hour) // long settled
	put("b " + HashToken([]byte(first))[1:] + "\n\n")
	require.True(t, known(second))
	put("b " + HashToken([]byte(first)) + "\n")
	require.True(t, known(first), "a file that was wrong is looked at whatever its stamp")
}

func TestFilesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	big := filepath.Join(t.TempDir(), "big")
	write(t, big, make([]byte, maxFileBytes+1))
	for _, file := range []string{filepath.Join(t.TempDir(), "none"), t.TempDir(), big} {
		_, err := New(Config{TokensFile: file})
		var fe *FileError
		require.ErrorAs(t, err, &fe)
		require.Equal(t, file, fe.File)
	}
}

func TestClientAuthoritiesAreAuthorities(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	leaf := f.ca.leaf(x509.Certificate{DNSNames: []string{"a.example"}})
	for name, text := range map[string][]byte{
		"a leaf":          pemOf("CERTIFICATE", leaf.Certificate[0]),
		"a private key":   append(f.ca.pem(), keyPEM(t, leaf)...),
		"nothing":         nil,
		"damaged":         append(f.ca.pem(), "-----BEGIN CERTIFICATE-----\n?\n"...),
		"not certificate": pemOf("CERTIFICATE", []byte("x")),
	} {
		write(t, f.ClientCAFile, text)
		_, err := New(Config{TLS: &f.TLS})
		var fe *FileError
		require.ErrorAs(t, err, &fe, name)
		require.Equal(t, f.ClientCAFile, fe.File, name)
	}
}

func TestConfigurationsThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, cfg := range []Config{
		{TLS: &TLS{}},
		{TLS: &TLS{CertFile: "a", KeyFile: "a", RequireClientCert: true}},
		{TLS: &TLS{CertFile: "a", KeyFile: "a", ClientCRLFile: "a"}},
		{JWT: &JWT{Audience: "a", KeysFile: "a"}},
		{JWT: &JWT{Issuer: "a", KeysFile: "a"}},
		{JWT: &JWT{Issuer: "a", Audience: "a"}},
		{JWT: &JWT{Issuer: "http://a.example", Audience: "a"}},
		{JWT: &JWT{Issuer: "https://u:p@a.example", Audience: "a"}},
	} {
		_, err := New(cfg)
		var ce *ConfigError
		require.ErrorAs(t, err, &ce)
	}
}

// TestManyCallersWhileFilesChange is for the race detector.
func TestManyCallersWhileFilesChange(t *testing.T) {
	t.Parallel()
	var c clock
	f := newFiles(t)
	tokenFile := filepath.Join(t.TempDir(), "tokens")
	token := NewToken()
	write(t, tokenFile, []byte("a "+HashToken([]byte(token))+"\n"))
	i := newIdentityProvider(t)
	w := newWorld(t, Config{Insecure: true, TLS: &f.TLS, TokensFile: tokenFile, JWT: i.file(t), Now: c.now})
	cert := f.ca.leaf(x509.Certificate{DNSNames: []string{"a.example"}})
	jwt := i.token(t, nil)
	var all sync.WaitGroup
	errs := make(chan error, 1000)
	for n := range 8 {
		all.Go(func() {
			for range 5 {
				conn := w.dial(w.secure, f.client(cert))
				for _, call := range []struct{ header, want string }{
					{"", "dns:a.example"}, {"Bearer " + token, "token:a"}, {"Bearer " + jwt, "jwt:alice"},
				} {
					headers := []string{call.header}
					if call.header == "" {
						headers = nil
					}
					if p, err := w.who(conn, headers...); err != nil || p != call.want {
						errs <- fmt.Errorf("caller %d: %q, %w", n, p, err)
					}
				}
			}
		})
	}
	for range 10 {
		c.forward(2 * pollEvery)
		write(t, f.ClientCAFile, append(newCA(t).pem(), f.ca.pem()...))
		write(t, tokenFile, []byte("# "+NewToken()[:5]+"\na "+HashToken([]byte(token))+"\n"))
		require.NoError(t, w.callers.Reload())
	}
	all.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
}
