package forge

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"net/url"
	"strings"
	"time"
)

// Option gives a certificate a property or a flaw. Of options that contradict each other the last one counts.
type Option func(*template)

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
					t.fail(err)
					return
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

// Organization sets the subject's organization.
func Organization(name string) Option {
	return func(t *template) { t.cert.Subject.Organization = []string{name} }
}

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

// PathLen limits the number of intermediates below an authority.
func PathLen(n int) Option {
	return func(t *template) { t.cert.MaxPathLen, t.cert.MaxPathLenZero = n, n == 0 }
}

// ExtKeyUsage sets the extended key usages; without arguments there is no such extension.
func ExtKeyUsage(usages ...x509.ExtKeyUsage) Option {
	return func(t *template) { t.cert.ExtKeyUsage = usages }
}

// PermittedDNS limits the names below an authority to these domains.
func PermittedDNS(domains ...string) Option {
	return func(t *template) { t.cert.PermittedDNSDomains, t.cert.PermittedDNSDomainsCritical = domains, true }
}

// ExcludedDNS forbids these domains below an authority.
func ExcludedDNS(domains ...string) Option {
	return func(t *template) { t.cert.ExcludedDNSDomains, t.cert.PermittedDNSDomainsCritical = domains, true }
}

// CRLDistributionPoint says where the list is that would name the certificate.
func CRLDistributionPoint(urls ...string) Option {
	return func(t *template) { t.cert.CRLDistributionPoints = urls }
}

// OCSPServer says who answers about the certificate.
func OCSPServer(urls ...string) Option { return func(t *template) { t.cert.OCSPServer = urls } }

// IssuerURL says where the issuer's certificate is (caIssuers).
func IssuerURL(urls ...string) Option {
	return func(t *template) { t.cert.IssuingCertificateURL = urls }
}

// MustStaple asks for an OCSP answer inside the handshake (RFC 7633).
func MustStaple() Option {
	// A SEQUENCE of one INTEGER, 5: the number of the status_request extension.
	return extension(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}, false, []byte{0x30, 3, 2, 1, 5})
}

// Padding adds an extension of n bytes that is not critical.
func Padding(n int) Option {
	return func(t *template) {
		value, err := asn1.Marshal(make([]byte, n))
		if err != nil {
			t.fail(err)
			return
		}
		extension(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 2}, false, value)(t)
	}
}

func extension(id asn1.ObjectIdentifier, critical bool, value []byte) Option {
	return func(t *template) {
		t.cert.ExtraExtensions = append(t.cert.ExtraExtensions, pkix.Extension{Id: id, Critical: critical, Value: value})
	}
}
