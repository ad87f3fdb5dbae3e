package tlstest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/forge"
)

// CA is a certificate authority in memory: a root, or an intermediate below one.
type CA struct {
	*forge.CA

	tb testing.TB
}

// NewCA makes a self-signed root. Its key is ECDSA P-256 unless an option says otherwise.
func NewCA(tb testing.TB, opts ...Option) *CA {
	tb.Helper()
	ca, err := forge.NewCA(opts...)
	require.NoError(tb, err)
	return &CA{ca, tb}
}

// Intermediate makes an authority below ca.
func (ca *CA) Intermediate(opts ...Option) *CA {
	ca.tb.Helper()
	below, err := ca.CA.Intermediate(opts...)
	require.NoError(ca.tb, err)
	return &CA{below, ca.tb}
}

// CrossSign makes a certificate for other's name and key, issued by ca.
func (ca *CA) CrossSign(other *CA, opts ...Option) *CA {
	ca.tb.Helper()
	cross, err := ca.CA.CrossSign(other.CA, opts...)
	require.NoError(ca.tb, err)
	return &CA{cross, ca.tb}
}

// Leaf makes a server certificate below ca, for "localhost" and the loopback addresses unless Names says otherwise.
func (ca *CA) Leaf(opts ...Option) *Identity {
	ca.tb.Helper()
	id, err := ca.CA.Leaf(opts...)
	require.NoError(ca.tb, err)
	return &Identity{id, ca.tb}
}

// Root returns the authority at the top.
func (ca *CA) Root() *CA { return &CA{ca.CA.Root(), ca.tb} }

// CRL signs a list of what ca has revoked, in DER.
func (ca *CA) CRL(l forge.List) []byte {
	ca.tb.Helper()
	der, err := ca.CA.CRL(l)
	require.NoError(ca.tb, err)
	return der
}

// OCSP signs an answer about a certificate that ca has issued, in DER.
func (ca *CA) OCSP(a forge.Answer) []byte {
	ca.tb.Helper()
	der, err := ca.CA.OCSP(a)
	require.NoError(ca.tb, err)
	return der
}

// SelfSigned makes a leaf that signed itself.
func SelfSigned(tb testing.TB, opts ...Option) *Identity {
	tb.Helper()
	id, err := forge.SelfSigned(opts...)
	require.NoError(tb, err)
	return &Identity{id, tb}
}

// Identity is a leaf with its key and chain; tests may change the chain.
type Identity struct {
	*forge.Identity

	tb testing.TB
}

// Append adds certificates to what the peer sends, and returns id.
func (id *Identity) Append(der ...[]byte) *Identity {
	id.Identity.Append(der...)
	return id
}

// WriteFiles writes the chain and the key in PEM into dir, as openssl and nginx take them.
func (id *Identity) WriteFiles(dir string) (certFile, keyFile string) {
	id.tb.Helper()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	require.NoError(id.tb, os.WriteFile(certFile, id.ChainPEM(), 0o600))
	require.NoError(id.tb, os.WriteFile(keyFile, id.KeyPEM(), 0o600))
	return certFile, keyFile
}

// KeyPEM returns the private key as PKCS #8.
func (id *Identity) KeyPEM() []byte {
	id.tb.Helper()
	key, err := id.Identity.KeyPEM()
	require.NoError(id.tb, err)
	return key
}
