package forge

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/ocsp"
)

// List is a revocation list (RFC 5280, section 5).
type List struct {
	Revoked                []*x509.Certificate // revoked an hour before ThisUpdate
	ThisUpdate, NextUpdate time.Time           // zero: an hour ago, and in a day
}

// CRL signs a list of what ca has revoked, in DER.
func (ca *CA) CRL(l List) ([]byte, error) {
	l.ThisUpdate, l.NextUpdate = updates(l.ThisUpdate, l.NextUpdate)
	template := &x509.RevocationList{
		Number:     big.NewInt(l.ThisUpdate.Unix()),
		ThisUpdate: l.ThisUpdate,
		NextUpdate: l.NextUpdate,
	}
	for _, cert := range l.Revoked {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: cert.SerialNumber, RevocationTime: l.ThisUpdate.Add(-time.Hour), ReasonCode: ocsp.KeyCompromise,
		})
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, ca.Certificate, ca.Key)
	if err != nil {
		return nil, fmt.Errorf("forge: revocation list: %w", err)
	}
	return der, nil
}

// Answer is what an OCSP responder says about one certificate (RFC 6960).
type Answer struct {
	Serial                 *big.Int
	Status                 int         // ocsp.Good, which is 0, ocsp.Revoked or ocsp.Unknown
	ThisUpdate, NextUpdate time.Time   // zero: an hour ago, and in a day
	Hash                   crypto.Hash // names the issuer; 0: SHA-1
	// Signer signs instead of ca and its certificate comes along; nil: ca signs. Whether it may, by OCSPSigning and by its
	// issuer, is not looked at.
	Signer *Identity
}

// OCSP signs an answer about a certificate that ca has issued, in DER.
func (ca *CA) OCSP(a Answer) ([]byte, error) {
	a.ThisUpdate, a.NextUpdate = updates(a.ThisUpdate, a.NextUpdate)
	template := ocsp.Response{
		Status: a.Status, SerialNumber: a.Serial, ThisUpdate: a.ThisUpdate, NextUpdate: a.NextUpdate, IssuerHash: a.Hash,
	}
	if a.Status == ocsp.Revoked {
		template.RevokedAt, template.RevocationReason = a.ThisUpdate.Add(-time.Hour), ocsp.KeyCompromise
	}
	responder, key := ca.Certificate, ca.Key
	if a.Signer != nil {
		template.Certificate = a.Signer.Leaf
		responder, key = a.Signer.Leaf, a.Signer.Key
	}
	der, err := ocsp.CreateResponse(ca.Certificate, responder, template, key)
	if err != nil {
		return nil, fmt.Errorf("forge: OCSP answer: %w", err)
	}
	return der, nil
}

func updates(this, next time.Time) (time.Time, time.Time) {
	if this.IsZero() {
		this = time.Now().Add(-time.Hour)
	}
	if next.IsZero() {
		next = time.Now().Add(24 * time.Hour)
	}
	return this, next
}
