package forge

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"time"
)

// template is a certificate to be, with what crypto/x509 would refuse to make.
type template struct {
	cert         *x509.Certificate // without a serial number: crypto/x509 draws one
	newKey       func() (crypto.Signer, error)
	public       crypto.PublicKey // instead of the key's own; nil: its own
	named        bool
	badSignature bool
	edits        []func(*tbsCertificate) // after crypto/x509, before the signature that counts
	hash         crypto.Hash             // of that signature; 0: the one that the algorithm has
	unparsable   bool                    // an edit makes it so
	err          error                   // the first mistake in an option
}

// newTemplate starts from a certificate without a flaw.
func newTemplate(commonName string, isCA bool, opts []Option) *template {
	t := &template{newKey: newP256}
	now := time.Now()
	t.cert = &x509.Certificate{
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

// minted is a certificate with the key that was made for it.
type minted struct {
	der  []byte
	cert *x509.Certificate // nil: it was to be unparsable
	key  crypto.Signer
}

// mint makes a key and signs the template by the issuer; nil is the certificate itself.
func (t *template) mint(issuer *CA) (minted, error) {
	m, err := t.tryMint(issuer)
	if err != nil {
		return minted{}, fmt.Errorf("forge: certificate %q: %w", t.cert.Subject.CommonName, err)
	}
	return m, nil
}

func (t *template) tryMint(issuer *CA) (m minted, err error) {
	if t.err != nil {
		return m, t.err
	}
	if m.key, err = t.newKey(); err != nil {
		return m, err
	}
	parent, signer := t.cert, m.key
	if issuer != nil {
		parent, signer = issuer.Certificate, issuer.Key
	}
	public := t.public
	if public == nil {
		public = m.key.Public()
	}
	if m.der, err = x509.CreateCertificate(rand.Reader, t.cert, parent, public, signer); err != nil {
		return m, err
	}
	if len(t.edits) > 0 || t.hash != 0 {
		if m.der, err = reseal(m.der, t.edits, t.hash, signer); err != nil {
			return m, err
		}
	}
	if t.badSignature {
		m.der[len(m.der)-1] ^= 1 // the signature is the last field; the DER stays valid
	}
	m.cert, err = x509.ParseCertificate(m.der)
	switch {
	case t.unparsable && err == nil:
		return m, errors.New("it was meant to be unparsable, and crypto/x509 takes it")
	case t.unparsable:
		return m, nil
	}
	return m, err
}

// fail keeps the first mistake.
func (t *template) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}
