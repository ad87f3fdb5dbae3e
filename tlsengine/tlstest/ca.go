package tlstest

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// CA is a certificate authority in memory: a root, or an intermediate below one.
type CA struct {
	Certificate *x509.Certificate
	Key         crypto.Signer

	tb     testing.TB
	parent *CA // nil: a root
}

// NewCA makes a self-signed root. Its key is ECDSA P-256 unless an option says otherwise.
func NewCA(tb testing.TB, opts ...Option) *CA {
	tb.Helper()
	t := newTemplate("Test Root", true, opts)
	key := t.newKey(tb)
	return &CA{Certificate: t.issue(tb, key.Public(), nil, key), Key: key, tb: tb}
}

// Intermediate makes an authority below ca.
func (ca *CA) Intermediate(opts ...Option) *CA {
	ca.tb.Helper()
	t := newTemplate("Test Intermediate", true, opts)
	key := t.newKey(ca.tb)
	return &CA{Certificate: t.issue(ca.tb, key.Public(), ca.Certificate, ca.Key), Key: key, tb: ca.tb, parent: ca}
}

// CrossSign makes a certificate for other's name and key, issued by ca.
func (ca *CA) CrossSign(other *CA, opts ...Option) *CA {
	ca.tb.Helper()
	t := newTemplate("", true, opts)
	t.cert.RawSubject, t.cert.SubjectKeyId = other.Certificate.RawSubject, other.Certificate.SubjectKeyId
	return &CA{Certificate: t.issue(ca.tb, other.Key.Public(), ca.Certificate, ca.Key), Key: other.Key, tb: ca.tb, parent: ca}
}

// Leaf makes a server certificate below ca, for "localhost" and the loopback addresses unless Names says otherwise.
func (ca *CA) Leaf(opts ...Option) *Identity {
	ca.tb.Helper()
	t := newTemplate("Test Leaf", false, opts)
	key := t.newKey(ca.tb)
	leaf := t.issue(ca.tb, key.Public(), ca.Certificate, ca.Key)
	id := &Identity{Leaf: leaf, Key: key, Chain: [][]byte{leaf.Raw}, tb: ca.tb}
	for c := ca; c.parent != nil; c = c.parent {
		id.Chain = append(id.Chain, c.Certificate.Raw)
	}
	return id
}

// Root returns the authority at the top.
func (ca *CA) Root() *CA {
	for ca.parent != nil {
		ca = ca.parent
	}
	return ca
}

// DER returns the authority's own certificate.
func (ca *CA) DER() []byte { return slices.Clone(ca.Certificate.Raw) }

// PEM returns the authority's own certificate.
func (ca *CA) PEM() []byte { return certPEM(ca.Certificate.Raw) }

// Pool returns a fresh pool that holds the authority's own certificate.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.Certificate)
	return pool
}

// SelfSigned makes a leaf that signed itself.
func SelfSigned(tb testing.TB, opts ...Option) *Identity {
	tb.Helper()
	t := newTemplate("Test Self-Signed", false, opts)
	key := t.newKey(tb)
	leaf := t.issue(tb, key.Public(), nil, key)
	return &Identity{Leaf: leaf, Key: key, Chain: [][]byte{leaf.Raw}, tb: tb}
}

// Identity is a leaf with its key and chain.
type Identity struct {
	Leaf  *x509.Certificate
	Key   crypto.Signer
	Chain [][]byte // DER, leaf first, without the root; tests may change it

	tb testing.TB
}

// Append adds certificates to what the peer sends, and returns id.
func (id *Identity) Append(der ...[]byte) *Identity {
	id.Chain = append(id.Chain, der...)
	return id
}

// Certificate is the identity for crypto/tls.
func (id *Identity) Certificate() tls.Certificate {
	return tls.Certificate{Certificate: id.Chain, PrivateKey: id.Key}
}

// WriteFiles writes the chain and the key in PEM into dir, as openssl and nginx take them.
func (id *Identity) WriteFiles(dir string) (certFile, keyFile string) {
	id.tb.Helper()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	var chain bytes.Buffer
	for _, der := range id.Chain {
		chain.Write(certPEM(der))
	}
	require.NoError(id.tb, os.WriteFile(certFile, chain.Bytes(), 0o600))
	require.NoError(id.tb, os.WriteFile(keyFile, id.KeyPEM(), 0o600))
	return certFile, keyFile
}

// KeyPEM returns the private key as PKCS #8.
func (id *Identity) KeyPEM() []byte {
	id.tb.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(id.Key)
	require.NoError(id.tb, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

var serials atomic.Int64

// newTemplate starts from a certificate without a flaw.
func newTemplate(commonName string, isCA bool, opts []Option) *template {
	t := &template{newKey: newECDSA}
	now := time.Now()
	t.cert = &x509.Certificate{
		SerialNumber:          big.NewInt(serials.Add(1)),
		Subject:               pkix.Name{CommonName: commonName, Organization: []string{"Test"}},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(365 * 24 * time.Hour),
		BasicConstraintsValid: true,
		IsCA:                  isCA,
		MaxPathLen:            -1,
	}
	if isCA {
		t.cert.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	} else {
		t.cert.KeyUsage = x509.KeyUsageDigitalSignature
		t.cert.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	for _, opt := range opts {
		opt(t)
	}
	if !isCA && !t.named {
		Names("localhost", "127.0.0.1", "::1")(t)
	}
	return t
}

// issue signs the template. A nil parent is the certificate itself.
func (t *template) issue(tb testing.TB, pub crypto.PublicKey, parent *x509.Certificate, signer crypto.Signer) *x509.Certificate {
	tb.Helper()
	if parent == nil {
		parent = t.cert
	}
	der, err := x509.CreateCertificate(rand.Reader, t.cert, parent, pub, signer)
	require.NoError(tb, err)
	if t.badSignature {
		der[len(der)-1] ^= 1 // the signature is the last field; the DER stays valid
	}
	cert, err := x509.ParseCertificate(der)
	require.NoError(tb, err)
	return cert
}
