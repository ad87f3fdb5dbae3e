package forge

import (
	"crypto/x509"
	"encoding/asn1"
)

// NotCA says cA = FALSE on an authority, which signs all the same.
func NotCA() Option { return func(t *template) { t.cert.IsCA = false } }

// ActsAsCA says cA = TRUE and keyCertSign on a leaf.
func ActsAsCA() Option {
	return func(t *template) {
		t.cert.IsCA = true
		t.cert.KeyUsage |= x509.KeyUsageCertSign
	}
}

// WithoutBasicConstraints leaves the extension out.
func WithoutBasicConstraints() Option {
	return func(t *template) { t.cert.BasicConstraintsValid, t.cert.IsCA = false, false }
}

// WithoutCertSign gives an authority a key usage that does not allow it to sign certificates.
func WithoutCertSign() Option {
	return func(t *template) { t.cert.KeyUsage = x509.KeyUsageCRLSign }
}

// CriticalExtension adds a critical extension that nobody understands.
func CriticalExtension() Option {
	return extension(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, true, []byte{5, 0})
}

// BadSignature spoils the issuer's signature.
func BadSignature() Option { return func(t *template) { t.badSignature = true } }

// SignatureAlgorithm sets the algorithm, which must fit the issuer's key. MD5WithRSA has an option of its own, MD5.
func SignatureAlgorithm(a x509.SignatureAlgorithm) Option {
	return func(t *template) { t.cert.SignatureAlgorithm = a }
}
