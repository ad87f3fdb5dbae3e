package tlsengine

import (
	"crypto/x509"
	"fmt"
	"strings"
)

// diagnosis collects the problems of one path. The order is Qt's: name, building of the chain, extensions per
// certificate, strength, signatures and times from the top, name constraints. What Qt does not know follows.
type diagnosis struct {
	*inquiry
	path
	problems []Problem
}

// diagnose runs checks that do not stop each other. On a chain of Verify's only those can find something that are stricter
// than Verify: checkStrength, checkProfile, some of checkNameConstraints and checkPolicies, and checkPins.
func (q *inquiry) diagnose(p path, named bool) []Problem {
	d := &diagnosis{inquiry: q, path: p}
	if !named {
		d.checkName()
	}
	if !p.anchored {
		d.checkBuilding()
	}
	d.checkDistrust()
	for depth := range p.certs {
		d.checkExtensions(depth)
	}
	for depth := range p.certs {
		d.checkProfile(depth)
	}
	for depth := range p.certs {
		d.checkStrength(depth)
	}
	for depth := len(p.certs) - 1; depth >= 0; depth-- {
		d.checkSignature(depth)
		d.checkTimes(depth)
	}
	d.checkNameConstraints()
	d.checkPolicies()
	d.checkPins()
	return d.problems
}

// add records a problem once per code and depth.
func (d *diagnosis) add(code ProblemCode, depth int, hint, format string, args ...any) {
	for _, p := range d.problems {
		if p.Code == code && p.Depth == depth {
			return
		}
	}
	d.problems = append(d.problems, Problem{Code: code, Depth: depth, Message: fmt.Sprintf(format, args...), Hint: hint,
		Certificate: d.certs[depth]})
}

func (d *diagnosis) checkName() {
	var wanted, found []string
	for _, n := range d.settings.verifyNames {
		wanted = append(wanted, n.wanted)
	}
	leaf := d.leaf
	found = append(found, leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		found = append(found, ip.String())
	}
	for _, uri := range leaf.URIs {
		found = append(found, "uri:"+uri.String())
	}
	carries := "it carries " + quoteList(found)
	if len(found) == 0 {
		carries = "it carries no name"
	}
	note := ""
	for _, n := range d.settings.verifyNames {
		switch {
		case n.host != "" && strings.EqualFold(strings.TrimSuffix(leaf.Subject.CommonName, "."), n.host):
			note = "; only its common name matches, which does not count (RFC 6125)"
		case n.host != "" && leaf.VerifyHostname(n.host) == nil:
			note = "; its wildcard stands for all domains of a registry, which does not count"
		}
	}
	d.add(HostNameMismatch, 0,
		"server: get a certificate with that name as a subject alternative name; caller: check the name that is asked for",
		"the certificate is not for %s: %s%s", quoteList(wanted), carries, note)
}

func (d *diagnosis) checkExtensions(depth int) {
	cert := d.certs[depth]
	subject := subjectOf{cert}
	var oids []string
	for _, oid := range cert.UnhandledCriticalExtensions {
		if depth > 0 && oid.Equal(oidNameConstraints) {
			continue // checkNameConstraints has it
		}
		oids = append(oids, oid.String())
	}
	if len(oids) > 0 {
		d.add(UnhandledCriticalExtension, depth, "server: replace the certificate with one that does not need them",
			"%s has critical extensions that are not understood: %s", subject, quoteList(oids))
	}
	if depth > 0 {
		d.checkAuthority(depth)
	}
	usage, name, whom := x509.ExtKeyUsageServerAuth, "serverAuth", "servers"
	if d.settings.PeerIsClient {
		usage, name, whom = x509.ExtKeyUsageClientAuth, "clientAuth", "clients"
	}
	if mayBeUsedFor(cert, usage) {
		return
	}
	if depth == 0 {
		d.add(InvalidPurpose, 0, "server: get a certificate for "+name, "%s is not for TLS %s", subject, whom)
	} else {
		d.add(InvalidPurpose, depth, "server: use another intermediate certificate", "%s may not issue certificates for TLS %s",
			subject, whom)
	}
}

// checkAuthority checks whether an issuer may be one (RFC 5280, section 6.1.4, k to n).
func (d *diagnosis) checkAuthority(depth int) {
	cert := d.certs[depth]
	subject := subjectOf{cert}
	const hint = "server: send the right intermediate certificate; its authority must replace it if it is the right one"
	oldAnchor := d.anchored && depth == len(d.certs)-1 && cert.Version < 3 // version 1 has no extensions to say so
	switch {
	case !cert.BasicConstraintsValid && !oldAnchor:
		d.add(InvalidCACertificate, depth, hint, "%s signs certificates and has no basic constraints", subject)
	case cert.BasicConstraintsValid && !cert.IsCA:
		d.add(InvalidCACertificate, depth, hint, "%s signs certificates and is not a certificate authority", subject)
		d.add(InvalidPurpose, depth, hint, "%s is not meant to issue certificates", subject)
	}
	if cert.KeyUsage != 0 && cert.KeyUsage&x509.KeyUsageCertSign == 0 {
		d.add(InvalidCACertificate, depth, hint, "%s signs certificates and its key usage does not allow it", subject)
		d.add(InvalidPurpose, depth, hint, "%s is not meant to issue certificates", subject)
		d.add(UnspecifiedError, depth, hint, "the key usage of %s has no keyCertSign", subject)
	}
	if limited := cert.BasicConstraintsValid && (cert.MaxPathLen > 0 || cert.MaxPathLen == 0 && cert.MaxPathLenZero); limited &&
		depth-1 > cert.MaxPathLen {
		d.add(PathLengthExceeded, depth, "server: use a chain with fewer intermediates",
			"%s allows %d intermediate certificates below it, and there are %d", subject, cert.MaxPathLen, depth-1)
	}
}

func (d *diagnosis) checkSignature(depth int) {
	if depth >= len(d.edges) {
		return
	}
	if cert, issuer := d.certs[depth], d.certs[depth+1]; d.edges[depth] == edgeBad {
		d.add(CertificateSignatureFailed, depth, "server: replace the certificate, it was damaged or forged",
			"the signature of %s is not one of %s", quote(subjectText(cert)), quote(subjectText(issuer)))
	}
}

func (d *diagnosis) checkTimes(depth int) {
	cert := d.certs[depth]
	if d.now.Before(cert.NotBefore) {
		d.add(CertificateNotYetValid, depth, "server: check the clock, or wait until the certificate is valid; operator: check this clock",
			"%s is valid from %s, and it is %s", quote(subjectText(cert)), instant(cert.NotBefore), instant(d.now))
	}
	if d.now.After(cert.NotAfter) {
		d.add(CertificateExpired, depth, "server: renew the certificate; operator: check this clock",
			"%s was valid until %s, and it is %s", quote(subjectText(cert)), instant(cert.NotAfter), instant(d.now))
	}
}
