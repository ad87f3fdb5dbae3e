package identity_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"securesocket/tlsengine/identity"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// keyKinds are the kinds of keys that every container and handshake is tried with.
var keyKinds = map[string]tlstest.Option{
	"RSA":     tlstest.RSA(2048),
	"P-256":   tlstest.ECDSA(elliptic.P256()),
	"P-384":   tlstest.ECDSA(elliptic.P384()),
	"Ed25519": tlstest.Ed25519(),
}

// eachKind runs a test with a client's leaf, below an intermediate, of each kind.
func eachKind(t *testing.T, run func(t *testing.T, id *tlstest.Identity)) {
	t.Helper()
	for name, kind := range keyKinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, clientLeaf(t, kind))
		})
	}
}

func clientLeaf(tb testing.TB, opts ...tlstest.Option) *tlstest.Identity {
	tb.Helper()
	opts = append(opts, tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth))
	return tlstest.NewCA(tb).Intermediate().Leaf(opts...)
}

func pkcs8DER(tb testing.TB, key any) []byte {
	tb.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(tb, err)
	return der
}

// traditional returns the key in PKCS#1 or SEC 1, with its PEM type; false for kinds that have neither.
func traditional(tb testing.TB, key any) (der []byte, pemType string, ok bool) {
	tb.Helper()
	switch key := key.(type) {
	case *rsa.PrivateKey:
		return x509.MarshalPKCS1PrivateKey(key), "RSA PRIVATE KEY", true
	case *ecdsa.PrivateKey:
		der, err := x509.MarshalECPrivateKey(key)
		require.NoError(tb, err)
		return der, "EC PRIVATE KEY", true
	}
	return nil, "", false
}

func pemBlock(blockType string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: der})
}

// accepted requires that the pair makes an identity with the chain of id.
func accepted(t *testing.T, id *tlstest.Identity, kp identity.KeyPair) *identity.Identity {
	t.Helper()
	got, err := identity.FromKeyPair(kp)
	require.NoError(t, err)
	require.Len(t, got.Chain(), len(id.Chain))
	for n, cert := range got.Chain() {
		require.Equal(t, id.Chain[n], cert.Raw)
	}
	require.False(t, got.CallerHeld())
	require.Empty(t, got.Ref())
	return got
}

// refused requires an *InputError about the field.
func refused(t *testing.T, err error, field string, key bool) {
	t.Helper()
	var input *identity.InputError
	require.ErrorAs(t, err, &input)
	require.Equal(t, field, input.Field, input.Why)
	require.Equal(t, key, input.Key, input.Why)
	require.NotEmpty(t, input.Why)
}

// openssl runs the program in a folder of its own, with files, and returns what it wrote to "out".
type openssl struct {
	t    *testing.T
	path string
	dir  string
}

func newOpenSSL(t *testing.T, files map[string][]byte) openssl {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if errors.Is(err, exec.ErrNotFound) && os.Getenv("CI") == "" {
		t.Skip("openssl is not installed")
	}
	require.NoError(t, err)
	o := openssl{t: t, path: path, dir: t.TempDir()}
	for name, data := range files {
		require.NoError(t, os.WriteFile(filepath.Join(o.dir, name), data, 0o600))
	}
	return o
}

func (o openssl) run(args ...string) []byte {
	o.t.Helper()
	cmd := exec.CommandContext(o.t.Context(), o.path, args...)
	cmd.Dir = o.dir
	output, err := cmd.CombinedOutput()
	require.NoError(o.t, err, "%s", output)
	out, err := os.ReadFile(filepath.Join(o.dir, "out"))
	require.NoError(o.t, err)
	return out
}
