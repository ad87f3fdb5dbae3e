package tlsengine

import (
	"crypto/x509"
	"encoding/asn1"
	"slices"
)

var (
	oidSubjectAltName  = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidNameConstraints = asn1.ObjectIdentifier{2, 5, 29, 30}
)

// emptyName is an empty SEQUENCE.
var emptyName = []byte{0x30, 0}

// checkProfile refuses what RFC 5280 forbids, what no authority issues by accident, and what Verify lets pass. What many
// private authorities do wrong, such as leaving out key identifiers, is a warning instead.
func (d *diagnosis) checkProfile(depth int) {
	cert := d.certs[depth]
	subject := subjectOf{cert}
	const hint = "server: replace the certificate, its authority issued it against RFC 5280"
	if depth > 0 {
		// Section 4.1.2.6: an authority has a name. Without one every other nameless authority is its namesake.
		if string(cert.RawSubject) == string(emptyName) {
			d.add(MalformedCertificate, depth, hint, "an authority of the chain has no name")
		}
		return
	}
	if d.anchored && len(d.certs) == 1 {
		return // somebody trusts just this certificate, whatever its shape
	}
	// Section 4.2.1.9: cA and keyCertSign come together. Browsers refuse a leaf that has one of them.
	certSign := cert.KeyUsage&x509.KeyUsageCertSign != 0
	switch isCA := cert.BasicConstraintsValid && cert.IsCA; {
	case certSign && !isCA:
		d.add(InvalidPurpose, depth, hint, "the key usage of %s says that it signs certificates, and it is not an authority", subject)
	case isCA && cert.KeyUsage != 0 && !certSign:
		d.add(InvalidPurpose, depth, hint, "%s says that it is an authority, and its key usage does not let it be one", subject)
	}
	if !cert.IsCA && has(cert, oidNameConstraints) {
		// Section 4.2.1.10.
		d.add(MalformedCertificate, depth, hint, "%s has name constraints, which are for authorities", subject)
	}
	if string(cert.RawSubject) == string(emptyName) && !isCritical(cert, oidSubjectAltName) {
		// Section 4.2.1.6: a reader that skips the extension would see a certificate for nobody.
		d.add(MalformedCertificate, depth, hint, "%s has no subject, and its alternative names are not critical", subject)
	}
}

func has(cert *x509.Certificate, oid asn1.ObjectIdentifier) bool {
	for _, ext := range cert.Extensions {
		if ext.Id.Equal(oid) {
			return true
		}
	}
	return false
}

func isCritical(cert *x509.Certificate, oid asn1.ObjectIdentifier) bool {
	for _, ext := range cert.Extensions {
		if ext.Id.Equal(oid) {
			return ext.Critical
		}
	}
	return false
}

// mayBeUsedFor is the rule of x509: no extended key usage allows everything, at any depth.
func mayBeUsedFor(cert *x509.Certificate, usage x509.ExtKeyUsage) bool {
	return len(cert.ExtKeyUsage) == 0 && len(cert.UnknownExtKeyUsage) == 0 ||
		slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageAny) || slices.Contains(cert.ExtKeyUsage, usage)
}
