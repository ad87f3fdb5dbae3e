package tlsengine

import (
	"bytes"
	"crypto/x509"
	"errors"
	"reflect"
	"slices"
	"time"
)

// edge is what is known about a child's signature by a certain issuer.
type edge uint8

const (
	edgeGood edge = iota // the signature verifies
	edgeWeak             // its algorithm is too weak to mean anything (SHA-1, MD5)
	edgeBad              // it does not verify
)

func signatureEdge(child, issuer *x509.Certificate) edge {
	// Not CheckSignatureFrom: whether the issuer may sign is a question of its own. CheckSignature accepts SHA-1, which
	// Verify does not.
	err := issuer.CheckSignature(child.SignatureAlgorithm, child.RawTBSCertificate, child.Signature)
	if _, insecure := errors.AsType[x509.InsecureAlgorithmError](err); insecure {
		return edgeWeak
	}
	if err != nil {
		return edgeBad
	}
	switch child.SignatureAlgorithm {
	case x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1:
		return edgeWeak
	}
	return edgeGood
}

// mayIssue reports whether names and key identifiers fit. A missing identifier fits.
func mayIssue(issuer, child *x509.Certificate) bool {
	return bytes.Equal(issuer.RawSubject, child.RawIssuer) &&
		(len(issuer.SubjectKeyId) == 0 || len(child.AuthorityKeyId) == 0 ||
			bytes.Equal(issuer.SubjectKeyId, child.AuthorityKeyId))
}

// neutral is a shallow copy for which Verify finds nothing to refuse but its signature and its issuers. Only for
// explaining; never for a verdict.
func neutral(cert *x509.Certificate, now time.Time) *x509.Certificate {
	c := *cert
	c.NotBefore, c.NotAfter = now.Add(-time.Hour), now.Add(time.Hour)
	c.UnhandledCriticalExtensions = nil
	c.ExtKeyUsage, c.UnknownExtKeyUsage = nil, nil
	c.RequireExplicitPolicy, c.RequireExplicitPolicyZero = 0, false
	return &c
}

// anchorOf finds the anchor that issued cert, or cert itself when it is one, whatever else is wrong with either. A pool
// cannot be searched, so Verify is asked about cert alone and its answer taken apart. nil: there is none.
func (q *inquiry) anchorOf(cert *x509.Certificate) (*x509.Certificate, edge) {
	c := neutral(cert, q.now)
	withoutNames(c) // no name constraint applies
	opts := q.options(q.roots)
	opts.KeyUsages, opts.CertificatePolicies = []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, nil
	chains, err := c.Verify(opts)
	if err == nil {
		chain := slices.MinFunc(chains, byLength)
		if len(chain) == 1 {
			return cert, edgeGood
		}
		return chain[1], edgeGood
	}
	var anchor *x509.Certificate
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Cert != c {
		anchor = e.Cert // expired, for one; its signature was checked first
	} else {
		// Other refusals do not name the anchor. That of a signature does, so the copy gets a bad one.
		c.Signature = nil
		_, err = c.Verify(opts)
		if e, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
			anchor = rejectedAuthority(e)
		}
	}
	if anchor == nil || !bytes.Equal(anchor.RawSubject, cert.RawIssuer) {
		return nil, edgeBad
	}
	how := signatureEdge(cert, anchor)
	if how != edgeGood && !mayIssue(anchor, cert) {
		return nil, edgeBad // another authority of the same name
	}
	return anchor, how
}

// rejectedAuthority returns the anchor that Verify tried and that did not fit, or nil. The field is unexported; without
// it a bad signature under an anchor reads as an unknown authority, which is refused all the same.
func rejectedAuthority(err x509.UnknownAuthorityError) *x509.Certificate {
	v := reflect.ValueOf(err).FieldByName("hintCert")
	if !v.IsValid() || v.Type() != reflect.TypeFor[*x509.Certificate]() || v.IsNil() {
		return nil
	}
	return (*x509.Certificate)(v.UnsafePointer())
}
