package tlsengine

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"slices"
	"strings"
)

// maxConstraintChecks bounds names times constraints, as OpenSSL does: more of them are an attack, not an authority.
const maxConstraintChecks = 1 << 20

const constraintHint = "server: get a certificate from an authority that may issue for its names"

// checkNameConstraints asks Verify about copies of the path on which everything else is in order: what it still refuses is
// a constraint, judged exactly as the verdict judges it. Then come those that Verify takes too lightly.
func (d *diagnosis) checkNameConstraints() {
	for depth, ca := range d.certs {
		if depth > 0 && slices.ContainsFunc(ca.UnhandledCriticalExtensions, oidNameConstraints.Equal) {
			// Section 4.2.1.10: what is not understood must be taken for violated. crypto/x509 knows no directory names.
			d.add(NameConstraintViolated, 0, constraintHint, "%s has name constraints of a kind that cannot be checked",
				quote(subjectText(ca)))
		}
	}
	if !d.sound() || len(d.certs) < 2 {
		return
	}
	if n := d.constraintChecks(); n > maxConstraintChecks {
		d.add(NameConstraintViolated, 0, constraintHint, "the chain asks for %d checks of name constraints, at most %d are made",
			n, maxConstraintChecks)
		return
	}
	if !d.verified {
		d.checkAsVerifyDoes()
	}
	d.checkHostConstraints()
}

func (d *diagnosis) checkAsVerifyDoes() {
	const leftOut = "its name constraints were not all checked"
	if !d.affordCopies() {
		d.leaveOut(leftOut)
		return
	}
	why := d.constraintError(-1)
	if why == "" {
		return
	}
	// Which certificate has the name is found by leaving one at a time with names.
	found := false
	for depth := range d.certs {
		if !has(d.certs[depth], oidSubjectAltName) {
			continue
		}
		if !d.affordCopies() {
			d.leaveOut(leftOut)
			break
		}
		if why := d.constraintError(depth); why != "" {
			found = true
			d.addConstraint(depth, why)
		}
	}
	if !found {
		d.addConstraint(0, why)
	}
}

func (d *diagnosis) addConstraint(depth int, why string) {
	d.add(NameConstraintViolated, depth, constraintHint, "an authority of the chain may not issue for a name of %s: %s",
		quote(subjectText(d.certs[depth])), quote(why))
}

// constraintError is what Verify says about constraints when only the certificate at that depth has names, or all have for
// -1; "" when it finds nothing.
func (d *diagnosis) constraintError(named int) string {
	err := d.verifyCopies(func(depth int, c *x509.Certificate) {
		c.Policies = nil
		if named >= 0 && named != depth {
			withoutNames(c)
		}
	})
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.CANotAuthorizedForThisName {
		return e.Detail
	}
	if err != nil {
		d.leaveOut("its name constraints were not checked: " + quote(err.Error()))
	}
	return ""
}

// withoutNames takes the alternative names from a copy. Verify asks the extensions whether there are any, and the fields
// which.
func withoutNames(c *x509.Certificate) {
	c.Extensions = slices.DeleteFunc(slices.Clone(c.Extensions), func(ext pkix.Extension) bool { return ext.Id.Equal(oidSubjectAltName) })
	c.DNSNames, c.IPAddresses, c.EmailAddresses, c.URIs = nil, nil, nil, nil
}

func (d *diagnosis) constraintChecks() int {
	checks, names := 0, 0
	for _, cert := range d.certs {
		checks += names * (len(cert.PermittedDNSDomains) + len(cert.ExcludedDNSDomains) + len(cert.PermittedIPRanges) +
			len(cert.ExcludedIPRanges) + len(cert.PermittedEmailAddresses) + len(cert.ExcludedEmailAddresses) +
			len(cert.PermittedURIDomains) + len(cert.ExcludedURIDomains))
		names += len(cert.DNSNames) + len(cert.IPAddresses) + len(cert.EmailAddresses) + len(cert.URIs)
	}
	return checks
}

// checkHostConstraints knows that a host without a leading period is that host alone in a constraint on mail addresses and
// URIs (RFC 5280, section 4.2.1.10). Verify takes it for a domain with all that is below, as it is for DNS names.
func (d *diagnosis) checkHostConstraints() {
	for depth, ca := range d.certs {
		for below := range depth {
			cert := d.certs[below]
			if below > 0 && bytes.Equal(cert.RawSubject, cert.RawIssuer) {
				continue // self-issued: section 6.1.3, b
			}
			for _, mail := range cert.EmailAddresses {
				if !mayHaveMail(ca, mail) {
					d.add(NameConstraintViolated, below, constraintHint, "%s may not issue for the mail address %s",
						quote(subjectText(ca)), quote(mail))
				}
			}
			for _, uri := range cert.URIs {
				if len(ca.PermittedURIDomains) > 0 && !slices.ContainsFunc(ca.PermittedURIDomains, func(c string) bool {
					return hostFits(c, uri.Hostname())
				}) {
					d.add(NameConstraintViolated, below, constraintHint, "%s may not issue for the URI %s",
						quote(subjectText(ca)), quote(uri.String()))
				}
			}
		}
	}
}

func mayHaveMail(ca *x509.Certificate, mail string) bool {
	if len(ca.PermittedEmailAddresses) == 0 {
		return true
	}
	host := mail[strings.LastIndexByte(mail, '@')+1:]
	return slices.ContainsFunc(ca.PermittedEmailAddresses, func(c string) bool {
		return strings.EqualFold(c, mail) || !strings.Contains(c, "@") && hostFits(c, host)
	})
}

// hostFits applies a constraint on a host: ".example.com" is all below example.com, "example.com" the host alone.
func hostFits(constraint, host string) bool {
	constraint, host = strings.ToLower(constraint), strings.ToLower(host)
	if strings.HasPrefix(constraint, ".") {
		return strings.HasSuffix(host, constraint)
	}
	return constraint == "" || constraint == host
}
