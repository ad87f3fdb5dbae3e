package callers

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// CertificateFault says why a client certificate was not accepted.
type CertificateFault string

// The faults of client certificates. The strings are stable.
const (
	// CertificateUntrusted: no authority of the operator's vouches for it as a client.
	CertificateUntrusted CertificateFault = "the client certificate is not trusted"
	// CertificateChain: it came with too many others, or with two of one name.
	CertificateChain CertificateFault = "the client certificate's chain is too long or ambiguous"
	// CertificateExpired: its time, or that of an authority above it, is over or has not begun.
	CertificateExpired CertificateFault = "the client certificate is not valid at this time"
	// CertificateRevoked: a revocation list names it, or an authority above it.
	CertificateRevoked CertificateFault = "the client certificate is revoked"
	// CertificateRevocationStale: the revocation list of its authority should have
	// been replaced by now, so that nobody knows.
	CertificateRevocationStale CertificateFault = "the revocation list for the client certificate is out of date"
	// CertificateSeveralNames: it has a SPIFFE ID and a second URI.
	CertificateSeveralNames CertificateFault = "the client certificate has a SPIFFE ID and another URI"
	// CertificateName: the name that counts cannot be a principal.
	CertificateName CertificateFault = "the client certificate's name cannot be a principal"
)

// CertificateError says that a client certificate was not accepted. It holds
// nothing of the certificate.
type CertificateError struct {
	// Why is one of the constants.
	Why CertificateFault
	// Err is the error of crypto/x509 below, or nil. Its text may quote the certificate.
	Err error
}

func (e *CertificateError) Error() string { return string(e.Why) }

// Unwrap returns Err.
func (e *CertificateError) Unwrap() error { return e.Err }

// certificatePrincipal returns the one name of a certificate that somebody has
// verified already.
func certificatePrincipal(cert *x509.Certificate) (string, error) {
	fail := func(why CertificateFault, err error) (string, error) { return "", &CertificateError{why, err} }
	for _, uri := range cert.URIs {
		if !strings.EqualFold(uri.Scheme, "spiffe") {
			continue
		}
		if len(cert.URIs) > 1 {
			return fail(CertificateSeveralNames, nil)
		}
		id, err := spiffeid.FromURI(uri)
		// Without a path it names a trust domain, which calls nobody.
		if err != nil || id.Path() == "" || len(id.String()) > maxPrincipal {
			return fail(CertificateName, err)
		}
		return id.String(), nil
	}
	var kind, name string
	var valid bool
	switch {
	case len(cert.DNSNames) > 0:
		kind, name = KindDNS, strings.ToLower(cert.DNSNames[0])
		valid = validDNSName(name)
	case len(cert.EmailAddresses) > 0:
		local, domain, _ := strings.Cut(cert.EmailAddresses[0], "@")
		kind, name = KindEmail, local+"@"+strings.ToLower(domain) // RFC 5321 section 2.4: the local part has case
		valid = validEmail(name)
	default:
		kind = KindX509
		name, valid = subject(cert)
	}
	p, ok := principal(kind, name)
	if !valid || !ok {
		return fail(CertificateName, nil)
	}
	return p, nil
}

// subject writes a subject as RFC 2253 does. It reads the bytes again: pkix.Name
// keeps one of several common names and forgets the order, and subjects that
// differ must not become one principal.
func subject(cert *x509.Certificate) (string, bool) {
	var names pkix.RDNSequence
	if rest, err := asn1.Unmarshal(cert.RawSubject, &names); err != nil || len(rest) > 0 {
		return "", false
	}
	for _, set := range names {
		for _, attribute := range set {
			if _, text := attribute.Value.(string); !text {
				return "", false
			}
		}
	}
	return names.String(), true
}
