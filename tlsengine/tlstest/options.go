package tlstest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Option gives a certificate a property or a flaw.
type Option func(*template)

type template struct {
	cert         *x509.Certificate
	newKey       func(testing.TB) crypto.Signer
	named        bool
	badSignature bool
}

// Names sets the subject alternative names: IP literals, "uri:" URIs, and DNS names for the rest. Without arguments the
// certificate carries none.
func Names(names ...string) Option {
	return func(t *template) {
		t.named = true
		t.cert.DNSNames, t.cert.IPAddresses, t.cert.URIs = nil, nil, nil
		for _, name := range names {
			if uri, ok := strings.CutPrefix(name, "uri:"); ok {
				u, err := url.Parse(uri)
				if err != nil {
					panic(err)
				}
				t.cert.URIs = append(t.cert.URIs, u)
			} else if ip := net.ParseIP(name); ip != nil {
				t.cert.IPAddresses = append(t.cert.IPAddresses, ip)
			} else {
				t.cert.DNSNames = append(t.cert.DNSNames, name)
			}
		}
	}
}

// CommonName sets the subject's common name.
func CommonName(name string) Option { return func(t *template) { t.cert.Subject.CommonName = name } }

// Validity sets both dates.
func Validity(notBefore, notAfter time.Time) Option {
	return func(t *template) { t.cert.NotBefore, t.cert.NotAfter = notBefore, notAfter }
}

// Expired makes a certificate that expired an hour ago.
func Expired() Option {
	return func(t *template) {
		t.cert.NotBefore, t.cert.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-time.Hour)
	}
}

// NotYetValid makes a certificate that becomes valid in a day.
func NotYetValid() Option {
	return func(t *template) {
		t.cert.NotBefore, t.cert.NotAfter = time.Now().Add(24*time.Hour), time.Now().Add(48*time.Hour)
	}
}

// NotCA says cA = FALSE on an authority, which signs all the same.
func NotCA() Option { return func(t *template) { t.cert.IsCA = false } }

// WithoutBasicConstraints leaves the extension out.
func WithoutBasicConstraints() Option {
	return func(t *template) { t.cert.BasicConstraintsValid, t.cert.IsCA = false, false }
}

// WithoutCertSign gives an authority a key usage that does not allow it to sign certificates.
func WithoutCertSign() Option {
	return func(t *template) { t.cert.KeyUsage = x509.KeyUsageCRLSign }
}

// PathLen limits the number of intermediates below an authority.
func PathLen(n int) Option {
	return func(t *template) { t.cert.MaxPathLen, t.cert.MaxPathLenZero = n, n == 0 }
}

// ExtKeyUsage sets the extended key usages; without arguments there is no such extension.
func ExtKeyUsage(usages ...x509.ExtKeyUsage) Option {
	return func(t *template) { t.cert.ExtKeyUsage = usages }
}

// PermittedDNS limits the names below an authority.
func PermittedDNS(domains ...string) Option {
	return func(t *template) { t.cert.PermittedDNSDomains, t.cert.PermittedDNSDomainsCritical = domains, true }
}

// CriticalExtension adds a critical extension that nobody understands.
func CriticalExtension() Option {
	return func(t *template) {
		t.cert.ExtraExtensions = append(t.cert.ExtraExtensions,
			pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, Critical: true, Value: []byte{5, 0}})
	}
}

// Padding adds an extension of n bytes that is not critical.
func Padding(n int) Option {
	return func(t *template) {
		value, err := asn1.Marshal(make([]byte, n))
		if err != nil {
			panic(err)
		}
		t.cert.ExtraExtensions = append(t.cert.ExtraExtensions,
			pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 2}, Value: value})
	}
}

// BadSignature spoils the issuer's signature.
func BadSignature() Option { return func(t *template) { t.badSignature = true } }

// SignatureAlgorithm sets the algorithm, which must fit the issuer's key.
func SignatureAlgorithm(a x509.SignatureAlgorithm) Option {
	return func(t *template) { t.cert.SignatureAlgorithm = a }
}

// RSA asks for an RSA key; the default is ECDSA P-256.
func RSA(bits int) Option {
	return func(t *template) {
		t.newKey = func(tb testing.TB) crypto.Signer {
			tb.Helper()
			key, err := rsa.GenerateKey(rand.Reader, bits)
			require.NoError(tb, err)
			return key
		}
	}
}

// ECDSA asks for a key on the curve.
func ECDSA(curve elliptic.Curve) Option {
	return func(t *template) {
		t.newKey = func(tb testing.TB) crypto.Signer {
			tb.Helper()
			key, err := ecdsa.GenerateKey(curve, rand.Reader)
			require.NoError(tb, err)
			return key
		}
	}
}

// Ed25519 asks for an Ed25519 key.
func Ed25519() Option {
	return func(t *template) {
		t.newKey = func(tb testing.TB) crypto.Signer {
			tb.Helper()
			_, key, err := ed25519.GenerateKey(rand.Reader)
			require.NoError(tb, err)
			return key
		}
	}
}

func newECDSA(tb testing.TB) crypto.Signer {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(tb, err)
	return key
}
