package tlsengine

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// minRSABits is the weakest RSA key of a leaf: CA/Browser Forum, Baseline Requirements, section 6.1.5.
const minRSABits = 2048

// diagnosis collects the problems of one path. The order is Qt's: name, building of the chain, extensions per
// certificate, strength, signatures and times from the top, name constraints.
type diagnosis struct {
	*inquiry
	path
	problems []Problem
}

// diagnose runs checks that do not stop each other.
func (q *inquiry) diagnose(p path, named bool) []Problem {
	d := &diagnosis{inquiry: q, path: p}
	if !named {
		d.checkName()
	}
	if !p.anchored {
		d.checkBuilding()
	}
	for depth := range p.certs {
		d.checkExtensions(depth)
	}
	if weak, ok := weakKey(q.leaf, 0); ok {
		d.problems = append(d.problems, weak)
	}
	for depth := len(p.certs) - 1; depth >= 0; depth-- {
		d.checkSignature(depth)
		d.checkTimes(depth)
	}
	d.checkNameConstraints()
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
	for _, n := range d.names {
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
	for _, n := range d.names {
		if n.host != "" && strings.EqualFold(strings.TrimSuffix(leaf.Subject.CommonName, "."), n.host) {
			note = "; only its common name matches, which does not count (RFC 6125)"
			break
		}
	}
	d.add(HostNameMismatch, 0,
		"server: get a certificate with that name as a subject alternative name; caller: check the name that is asked for",
		"the certificate is not for %s: %s%s", quoteList(wanted), carries, note)
}

func (d *diagnosis) checkBuilding() {
	top := len(d.certs) - 1
	last := d.certs[top]
	const trust = "caller: add the issuing root as a trust anchor if it is to be trusted"
	if bytes.Equal(last.RawSubject, last.RawIssuer) && mayIssue(last, last) && signatureEdge(last, last) != edgeBad {
		if top == 0 {
			d.add(SelfSignedCertificate, 0, "server: get a certificate from an authority; caller: or add this one as a trust anchor",
				"the certificate %s is self-signed and not a trust anchor", quote(subjectText(last)))
			return
		}
		d.add(SelfSignedCertificateInChain, top, trust,
			"the chain ends in %s, which is self-signed and not a trust anchor", quote(subjectText(last)))
		return
	}
	hint := trust
	if top == 0 {
		hint = "server: send the intermediate certificates; " + trust
	}
	d.add(UnableToGetLocalIssuerCertificate, top, hint, "the issuer %s of %s was neither sent nor is it a trust anchor",
		quote(last.Issuer.String()), quote(subjectText(last)))
	if top == 0 {
		d.add(UnableToVerifyFirstCertificate, 0, hint, "the chain is only the certificate itself, and its issuer is unknown")
	}
}

func (d *diagnosis) checkExtensions(depth int) {
	cert := d.certs[depth]
	subject := quote(subjectText(cert))
	if len(cert.UnhandledCriticalExtensions) > 0 {
		var oids []string
		for _, oid := range cert.UnhandledCriticalExtensions {
			oids = append(oids, oid.String())
		}
		d.add(UnhandledCriticalExtension, depth, "server: replace the certificate with one that does not need them",
			"%s has critical extensions that are not understood: %s", subject, quoteList(oids))
	}
	if depth > 0 {
		d.checkAuthority(depth)
	}
	if !allowsServerAuth(cert) {
		if depth == 0 {
			d.add(InvalidPurpose, 0, "server: get a certificate for serverAuth", "%s is not for TLS servers", subject)
		} else {
			d.add(InvalidPurpose, depth, "server: use another intermediate certificate", "%s may not issue certificates for TLS servers", subject)
		}
	}
}

// checkAuthority checks whether an issuer may be one (RFC 5280, section 6.1.4, k to n).
func (d *diagnosis) checkAuthority(depth int) {
	cert := d.certs[depth]
	subject := quote(subjectText(cert))
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

// allowsServerAuth is the rule of x509: no extended key usage allows everything, at any depth.
func allowsServerAuth(cert *x509.Certificate) bool {
	return len(cert.ExtKeyUsage) == 0 && len(cert.UnknownExtKeyUsage) == 0 ||
		slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageAny) || slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
}

func (d *diagnosis) checkSignature(depth int) {
	if depth >= len(d.edges) {
		return
	}
	cert, issuer := d.certs[depth], d.certs[depth+1]
	switch d.edges[depth] {
	case edgeBad:
		d.add(CertificateSignatureFailed, depth, "server: replace the certificate, it was damaged or forged",
			"the signature of %s is not one of %s", quote(subjectText(cert)), quote(subjectText(issuer)))
	case edgeWeak:
		d.add(WeakSignature, depth, "server: get a certificate that is signed with SHA-256 or better",
			"%s is signed with %s, which is not accepted", quote(subjectText(cert)), cert.SignatureAlgorithm)
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

// checkNameConstraints asks Verify about copies of the path on which everything else is in order: what it still refuses is
// a constraint, judged exactly as the verdict judges it.
func (d *diagnosis) checkNameConstraints() {
	if !d.anchored || len(d.certs) < 2 || slices.ContainsFunc(d.edges, func(e edge) bool { return e != edgeGood }) {
		return
	}
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	for i, cert := range d.certs[1:] {
		c := neutral(cert, d.now)
		c.BasicConstraintsValid, c.IsCA, c.MaxPathLen, c.MaxPathLenZero = true, true, -1, false
		c.KeyUsage = 0
		if i == len(d.certs)-2 {
			roots.AddCert(c)
		} else {
			intermediates.AddCert(c)
		}
	}
	_, err := neutral(d.leaf, d.now).Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, CurrentTime: d.now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	e, ok := errors.AsType[x509.CertificateInvalidError](err)
	if ok && e.Reason == x509.CANotAuthorizedForThisName {
		d.add(NameConstraintViolated, 0, "server: get a certificate from an authority that may issue for its names",
			"an authority of the chain may not issue for a name of the certificate: %s", quote(e.Detail))
	}
}

// weakKey is the one check that is stricter than Verify.
func weakKey(cert *x509.Certificate, depth int) (Problem, bool) {
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok || key.N.BitLen() >= minRSABits {
		return Problem{}, false
	}
	return Problem{Code: WeakKey, Depth: depth, Certificate: cert,
		Message: fmt.Sprintf("the RSA key of %s has %d bits, at least %d are needed", quote(subjectText(cert)), key.N.BitLen(), minRSABits),
		Hint:    "server: get a certificate for a stronger key"}, true
}
