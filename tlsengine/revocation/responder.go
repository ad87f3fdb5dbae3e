package revocation

import (
	"bytes"
	"crypto"
	"crypto/sha1" // RFC 6960 names responders and issuers by it; no signature rests on it
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// ocspAnswer is what is kept of an OCSP response whose signature was verified. Whether it may be used is asked each time.
type ocspAnswer struct {
	producedAt            time.Time
	signerFrom, signerEnd time.Time    // when a delegated responder is valid; zero: the issuer itself signed
	singles               []ocspSingle // about the certificate, at least one; their id is gone
}

// maxResponders bounds how many certificates of a response are tried as its signer.
const maxResponders = 8

// readOCSP parses a response about s and verifies who signed it.
func readOCSP(der []byte, s *subject) (*ocspAnswer, error) {
	r, err := parseOCSP(der)
	if err != nil {
		return nil, err
	}
	a := &ocspAnswer{producedAt: r.producedAt}
	for _, one := range r.singles {
		if one.id.isAbout(s) {
			one.id = certID{} // points into the response
			a.singles = append(a.singles, one)
		}
	}
	if len(a.singles) == 0 {
		return nil, otherCertificate
	}
	alg, err := readAlgorithm(r.algorithm)
	if err != nil {
		return nil, err
	}
	h := alg.digest()
	_, _ = h.Write(r.tbs) // smaller than any bound
	digest := h.Sum(nil)
	err = noResponder
	if r.isBy(s.issuer) {
		if err = alg.verify(s.issuer.PublicKey, digest, r.signature); err == nil {
			return a, nil
		}
	}
	for _, der := range r.certs[:min(len(r.certs), maxResponders)] {
		responder, parseErr := x509.ParseCertificate(der)
		if parseErr != nil || !r.isBy(responder) || !authorised(responder, s.issuer) {
			continue
		}
		if err = alg.verify(responder.PublicKey, digest, r.signature); err == nil {
			a.signerFrom, a.signerEnd = responder.NotBefore, responder.NotAfter
			return a, nil
		}
	}
	return nil, err
}

// isAbout compares the whole CertID, by whichever hash the responder chose.
func (id *certID) isAbout(s *subject) bool {
	h, ok := readHash(id.hashOf)
	if !ok || string(id.serial) != s.serial {
		return false
	}
	key, ok := publicKeyBits(s.issuer)
	return ok && bytes.Equal(id.nameHash, sum(h, s.cert.RawIssuer)) && bytes.Equal(id.keyHash, sum(h, key))
}

func sum(h crypto.Hash, b []byte) []byte {
	d := h.New()
	_, _ = d.Write(b)
	return d.Sum(nil)
}

// isBy says whether the response names cert as its responder.
func (r *ocspResponse) isBy(cert *x509.Certificate) bool {
	if r.responderName == nil {
		key, ok := publicKeyBits(cert)
		digest := sha1.Sum(key)
		return ok && bytes.Equal(r.responderKey, digest[:])
	}
	named, ok := canonicalName(r.responderName)
	name, nameOK := canonicalName(cert.RawSubject)
	return ok && nameOK && named == name
}

// authorised says whether the issuer itself made responder a responder (RFC 6960, section 4.2.2.2). When it is valid is
// for later.
func authorised(responder, issuer *x509.Certificate) bool {
	named, ok := canonicalName(responder.RawIssuer)
	name, nameOK := canonicalName(issuer.RawSubject)
	switch {
	case !ok || !nameOK || named != name,
		!slices.Contains(responder.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning),
		hasExtension(responder, oidKeyUsage) && responder.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0,
		len(responder.UnhandledCriticalExtensions) > 0,
		hasExtension(issuer, oidKeyUsage) && issuer.KeyUsage&x509.KeyUsageCertSign == 0:
		return false
	}
	// x509 takes SHA-1 here, for the sake of CRLs and OCSP; this is a certificate.
	if responder.SignatureAlgorithm == x509.SHA1WithRSA || responder.SignatureAlgorithm == x509.ECDSAWithSHA1 {
		return false
	}
	return issuer.CheckSignature(responder.SignatureAlgorithm, responder.RawTBSCertificate, responder.Signature) == nil
}

// judge says what the answer means now. Of several single responses the worst counts: a responder that says two things
// about a certificate has not said that it is good.
func (a *ocspAnswer) judge(s *subject, _ source) (Result, error) {
	if !a.signerFrom.IsZero() {
		if s.now.Before(a.signerFrom) {
			return Result{}, fmt.Errorf("the responder's certificate: %w", fromTheFuture.at(a.signerFrom))
		}
		if s.now.After(a.signerEnd) {
			return Result{}, fmt.Errorf("the responder's certificate: %w", outOfDate.at(a.signerEnd))
		}
	}
	switch {
	case a.producedAt.After(s.now.Add(clockSkew)):
		return Result{}, fmt.Errorf("produced: %w", fromTheFuture.at(a.producedAt))
	case a.producedAt.Before(s.cert.NotBefore.Add(-clockSkew)): // about a certificate that did not exist
		return Result{}, fmt.Errorf("produced before the certificate was valid: %w", outOfDate.at(a.producedAt))
	}
	var good *Result
	var problem error
	for _, one := range a.singles {
		found := Result{Outcome: one.status, ThisUpdate: one.thisUpdate, NextUpdate: one.nextUpdate}
		err := fresh(one.thisUpdate, one.nextUpdate, s.now)
		switch {
		case one.critical != "":
			problem = fmt.Errorf("%w: %s", unknownCritical, quote(one.critical))
		case err != nil:
			problem = err
		case one.status == Revoked:
			found.RevokedAt, found.Detail = one.revoked.at, one.revoked.String()
			return found, nil
		case one.status == Good:
			good = &found
		default:
			problem = statusUnknown
		}
	}
	switch {
	case problem != nil:
		return Result{}, problem
	case good == nil:
		return Result{}, otherCertificate
	}
	return *good, nil
}

// ends is when the first of the single responses ends.
func (a *ocspAnswer) ends() time.Time {
	var first time.Time
	for _, one := range a.singles {
		end := endOf(one.thisUpdate, one.nextUpdate)
		if first.IsZero() || end.Before(first) {
			first = end
		}
	}
	return first
}

func (a *ocspAnswer) bytes() int { return 512 + 256*len(a.singles) }

// endOf is when something stops being fresh.
func endOf(thisUpdate, nextUpdate time.Time) time.Time {
	if nextUpdate.IsZero() {
		return thisUpdate.Add(maxAge)
	}
	return nextUpdate
}
