package tlsengine

import (
	"bytes"
	"crypto/x509"
	"errors"
	"strings"
)

// checkBuilding says why the path reaches no anchor.
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
	if d.cut {
		d.add(UnableToGetLocalIssuerCertificate, top, trust, "no trust anchor was found within %d certificates, and no more were tried",
			len(d.certs))
		return
	}
	hint := trust
	if top == 0 {
		hint = sendIssuerOf(last) + "; " + trust
	} else if where := issuerAddress(last); where != "" {
		hint = trust + "; or server: send it, if it is an intermediate; it is at " + where
	}
	d.add(UnableToGetLocalIssuerCertificate, top, hint, "the issuer %s of %s was neither sent nor is it a trust anchor",
		quote(nameText(last.RawIssuer)), quote(subjectText(last)))
	if top == 0 {
		d.add(UnableToVerifyFirstCertificate, 0, hint, "the chain is only the certificate itself, and its issuer is unknown")
	}
}

// checkDistrust asks whether the anchor is trusted for this chain: a pool may limit one, as root programs do when they
// distrust an authority from a day on (x509.CertPool.AddCertWithConstraint). The limit is asked about copies that begin
// when the originals do: that is what such limits look at. The anchor itself stays, and so does its signature.
func (d *diagnosis) checkDistrust() {
	top := len(d.certs) - 1
	if d.verified || !d.sound() || top == 0 || contains(d.settings.trust.Anchors, d.certs[top]) {
		return
	}
	const leftOut = "whether its trust anchor is trusted for it was not checked"
	if !d.affordCopies() || !d.afford(d.anchorCost(d.certs[top-1])) {
		d.leaveOut(leftOut)
		return
	}
	opts := d.options(d.roots)
	opts.KeyUsages, opts.CertificatePolicies = []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, nil
	opts.CurrentTime = d.certs[top].NotBefore
	copies := d.copies(func(depth int, c *x509.Certificate) {
		withoutNames(c)
		cert := d.certs[depth]
		c.NotBefore, c.NotAfter = cert.NotBefore, d.now.AddDate(100, 0, 0)
		if depth < top && c.NotBefore.After(opts.CurrentTime) {
			opts.CurrentTime = c.NotBefore
		}
		if depth == top-1 {
			c.AuthorityKeyId = cert.AuthorityKeyId
			c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature = cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature
		}
	})
	for _, c := range copies[1:top] {
		opts.Intermediates.AddCert(c)
	}
	_, err := copies[0].Verify(opts)
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		d.add(CertificateUntrusted, top, "server: get a certificate from another authority",
			"the trust anchor %s is not trusted for this chain: %s", quote(subjectText(d.certs[top])), quote(err.Error()))
		return
	}
	// Before the limit Verify looks at the anchor's times and path length, which depend on the chain. Policies come after it,
	// and nobody limits an anchor that Verify never accepts, for a critical extension.
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason != x509.NoValidChains {
		d.leaveOut(leftOut + ": " + quote(err.Error()))
	}
}

// sendIssuerOf names the certificate that the server leaves out, and says where the issuer of cert keeps it.
func sendIssuerOf(cert *x509.Certificate) string {
	hint := "server: send the intermediate certificate " + quote(nameText(cert.RawIssuer))
	if where := issuerAddress(cert); where != "" {
		hint += ", which is at " + where
	}
	return hint
}

// issuerAddress is where cert says that its issuer's certificate is (RFC 5280, section 4.2.2.1); quoted, or "". It is told,
// never fetched.
func issuerAddress(cert *x509.Certificate) string {
	for _, url := range cert.IssuingCertificateURL {
		if strings.HasPrefix(url, "http://") || strings.HasPrefix(url, "https://") {
			return quote(url)
		}
	}
	return ""
}
