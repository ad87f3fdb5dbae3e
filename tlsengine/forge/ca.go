package forge

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"slices"
)

// CA is a certificate authority in memory: a root, or an intermediate below one. It is made by NewCA, Intermediate or
// CrossSign, and not modified afterwards.
type CA struct {
	Certificate *x509.Certificate
	Key         crypto.Signer

	parent *CA // nil: a root
}

// NewCA makes a self-signed root. Its key is ECDSA P-256 unless an option says otherwise.
func NewCA(opts ...Option) (*CA, error) {
	t := newTemplate("Test Root", true, opts)
	m, err := t.mint(nil)
	if err != nil {
		return nil, err
	}
	return &CA{Certificate: m.cert, Key: m.key}, nil
}

// Intermediate makes an authority below ca.
func (ca *CA) Intermediate(opts ...Option) (*CA, error) {
	t := newTemplate("Test Intermediate", true, opts)
	m, err := t.mint(ca)
	if err != nil {
		return nil, err
	}
	return &CA{Certificate: m.cert, Key: m.key, parent: ca}, nil
}

// CrossSign makes a certificate for other's name and key, issued by ca.
func (ca *CA) CrossSign(other *CA, opts ...Option) (*CA, error) {
	t := newTemplate("", true, opts)
	t.cert.RawSubject, t.cert.SubjectKeyId = other.Certificate.RawSubject, other.Certificate.SubjectKeyId
	t.newKey = func() (crypto.Signer, error) { return other.Key, nil }
	m, err := t.mint(ca)
	if err != nil {
		return nil, err
	}
	return &CA{Certificate: m.cert, Key: other.Key, parent: ca}, nil
}

// Leaf makes a server certificate below ca, for "localhost" and the loopback addresses unless Names says otherwise.
func (ca *CA) Leaf(opts ...Option) (*Identity, error) {
	t := newTemplate("Test Leaf", false, opts)
	m, err := t.mint(ca)
	if err != nil {
		return nil, err
	}
	id := &Identity{Leaf: m.cert, Key: m.key, Chain: [][]byte{m.der}}
	for c := ca; c.parent != nil; c = c.parent {
		id.Chain = append(id.Chain, c.Certificate.Raw)
	}
	return id, nil
}

// AsLeaf is the authority in the place of a server: with its own certificate and key, and the chain above it.
func (ca *CA) AsLeaf() *Identity {
	id := &Identity{Leaf: ca.Certificate, Key: ca.Key, Chain: [][]byte{ca.Certificate.Raw}}
	for c := ca.parent; c != nil && c.parent != nil; c = c.parent {
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

// DER returns the authority's own certificate. The caller owns it.
func (ca *CA) DER() []byte { return slices.Clone(ca.Certificate.Raw) }

// PEM returns the authority's own certificate. The caller owns it.
func (ca *CA) PEM() []byte { return certPEM(ca.Certificate.Raw) }

// Pool returns a fresh pool that holds the authority's own certificate.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.Certificate)
	return pool
}

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
