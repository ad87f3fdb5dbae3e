package forge

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
)

// Identity is a leaf with its key and chain.
type Identity struct {
	Leaf  *x509.Certificate // nil: crypto/x509 cannot parse it, as some flaws have it
	Key   crypto.Signer
	Chain [][]byte // DER, leaf first, without the root; the caller may change it
}

// SelfSigned makes a leaf that signed itself.
func SelfSigned(opts ...Option) (*Identity, error) {
	t := newTemplate("Test Self-Signed", false, opts)
	m, err := t.mint(nil)
	if err != nil {
		return nil, err
	}
	return &Identity{Leaf: m.cert, Key: m.key, Chain: [][]byte{m.der}}, nil
}

// Append adds certificates to what the server sends, and returns id. It keeps the slices.
func (id *Identity) Append(der ...[]byte) *Identity {
	id.Chain = append(id.Chain, der...)
	return id
}

// Certificate is the identity for crypto/tls. It shares the chain.
func (id *Identity) Certificate() tls.Certificate {
	return tls.Certificate{Certificate: id.Chain, PrivateKey: id.Key}
}

// ChainPEM returns the chain as openssl and nginx take it. The caller owns it.
func (id *Identity) ChainPEM() []byte {
	var chain bytes.Buffer
	for _, der := range id.Chain {
		chain.Write(certPEM(der))
	}
	return chain.Bytes()
}

// KeyPEM returns the private key as PKCS #8. The caller owns it.
func (id *Identity) KeyPEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(id.Key)
	if err != nil {
		return nil, fmt.Errorf("forge: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
