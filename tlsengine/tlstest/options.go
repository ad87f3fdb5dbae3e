package tlstest

import (
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"time"

	"securesocket/tlsengine/forge"
)

// Option gives a certificate a property or a flaw. Those of package forge that have no name here work as well.
type Option = forge.Option

// Names sets the subject alternative names: IP literals, "uri:" URIs, and DNS names for the rest. Without arguments the
// certificate carries none.
func Names(names ...string) Option { return forge.Names(names...) }

// CommonName sets the subject's common name.
func CommonName(name string) Option { return forge.CommonName(name) }

// Validity sets both dates.
func Validity(notBefore, notAfter time.Time) Option { return forge.Validity(notBefore, notAfter) }

// Expired makes a certificate that expired an hour ago.
func Expired() Option { return forge.Expired() }

// NotYetValid makes a certificate that becomes valid in a day.
func NotYetValid() Option { return forge.NotYetValid() }

// NotCA says cA = FALSE on an authority, which signs all the same.
func NotCA() Option { return forge.NotCA() }

// WithoutBasicConstraints leaves the extension out.
func WithoutBasicConstraints() Option { return forge.WithoutBasicConstraints() }

// WithoutCertSign gives an authority a key usage that does not allow it to sign certificates.
func WithoutCertSign() Option { return forge.WithoutCertSign() }

// PathLen limits the number of intermediates below an authority.
func PathLen(n int) Option { return forge.PathLen(n) }

// ExtKeyUsage sets the extended key usages; without arguments there is no such extension.
func ExtKeyUsage(usages ...x509.ExtKeyUsage) Option { return forge.ExtKeyUsage(usages...) }

// PermittedDNS limits the names below an authority.
func PermittedDNS(domains ...string) Option { return forge.PermittedDNS(domains...) }

// CriticalExtension adds a critical extension that nobody understands.
func CriticalExtension() Option { return forge.CriticalExtension() }

// Padding adds an extension of n bytes that is not critical.
func Padding(n int) Option { return forge.Padding(n) }

// BadSignature spoils the issuer's signature.
func BadSignature() Option { return forge.BadSignature() }

// SignatureAlgorithm sets the algorithm, which must fit the issuer's key.
func SignatureAlgorithm(a x509.SignatureAlgorithm) Option { return forge.SignatureAlgorithm(a) }

// RSA asks for an RSA key; the default is ECDSA P-256.
func RSA(bits int) Option { return forge.RSA(bits) }

// ECDSA asks for a key on the curve.
func ECDSA(curve elliptic.Curve) Option { return forge.ECDSA(curve) }

// Ed25519 asks for an Ed25519 key.
func Ed25519() Option { return forge.Ed25519() }

// Key gives the certificate a key that is there already.
func Key(key crypto.Signer) Option { return forge.Key(key) }
