package tlsengine

import (
	"crypto/x509"
	"errors"
	"slices"
)

// Policies are the inputs of RFC 5280, section 6.1.1, c and e to g. The zero value accepts every policy and asks for none,
// as TLS does.
type Policies struct {
	// Acceptable are the policies of which a chain must be good for one, where it has to be good for any; empty: all.
	Acceptable []x509.OID
	// RequireExplicit refuses a chain that is not good for one of them. Without it a chain need not be, unless one of its
	// authorities says so.
	RequireExplicit bool
	// InhibitMapping and InhibitAny take policy mappings and anyPolicy out of the chain.
	InhibitMapping, InhibitAny bool
}

// anyPolicy is 2.5.29.32.0.
var anyPolicy = func() x509.OID {
	oid, err := x509.OIDFromInts([]uint64{2, 5, 29, 32, 0})
	if err != nil {
		panic(err)
	}
	return oid
}()

// checkPolicies asks Verify about copies of the path on which only policies can fail. Verify itself takes no flags; each
// can be said by the first certificate below the anchor, which has the same effect from there on.
func (d *diagnosis) checkPolicies() {
	p := d.policies
	flags := p.RequireExplicit || p.InhibitMapping || p.InhibitAny
	if !d.sound() || len(d.certs) < 2 || d.verified && !flags {
		return
	}
	if !d.affordCopies() {
		d.leaveOut("its certificate policies were not checked")
		return
	}
	top := len(d.certs) - 2
	err := d.verifyCopies(func(depth int, c *x509.Certificate) {
		c.PermittedDNSDomains, c.ExcludedDNSDomains, c.PermittedIPRanges, c.ExcludedIPRanges = nil, nil, nil, nil
		c.PermittedEmailAddresses, c.ExcludedEmailAddresses, c.PermittedURIDomains, c.ExcludedURIDomains = nil, nil, nil, nil
		original := d.certs[depth]
		c.RequireExplicitPolicy, c.RequireExplicitPolicyZero = original.RequireExplicitPolicy, original.RequireExplicitPolicyZero
		if depth != top {
			return
		}
		if p.RequireExplicit {
			c.RequireExplicitPolicy, c.RequireExplicitPolicyZero = 0, true
		}
		if p.InhibitMapping {
			c.InhibitPolicyMapping, c.InhibitPolicyMappingZero = 0, true
			c.Policies = slices.DeleteFunc(slices.Clone(c.Policies), func(oid x509.OID) bool {
				return slices.ContainsFunc(c.PolicyMappings, func(m x509.PolicyMapping) bool { return m.IssuerDomainPolicy.Equal(oid) })
			})
			c.PolicyMappings = nil
		}
		if p.InhibitAny {
			c.InhibitAnyPolicy, c.InhibitAnyPolicyZero = 0, true
			if selfIssued := string(c.RawSubject) == string(c.RawIssuer); !selfIssued || depth == 0 {
				c.Policies = slices.DeleteFunc(slices.Clone(c.Policies), anyPolicy.Equal)
			}
		}
	})
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.NoValidChains {
		d.add(UnspecifiedError, 1, "server: get a certificate from an authority with the policies that are asked for",
			"the certificate policies that the chain must have are not those that it has")
	} else if err != nil {
		d.leaveOut("its certificate policies were not checked: " + quote(err.Error()))
	}
}
