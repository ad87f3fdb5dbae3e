package callers

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"time"
)

// revocations are the lists of the client authorities, by [authority].
type revocations map[string]*revoked

// revoked is what the lists of one authority say.
type revoked struct {
	serials map[string]bool // big-endian bytes
	until   time.Time       // when a newer list must be there; zero: never
}

// authority tells one authority from another: a name may have several keys.
func authority(cert *x509.Certificate) string {
	return string(cert.RawSubject) + string(cert.RawSubjectPublicKeyInfo)
}

// judge says until when the lists speak for a chain, leaf first; zero: for ever.
// An authority without a list revokes nothing.
func (r revocations) judge(chain []*x509.Certificate, now time.Time) (until time.Time, err error) {
	for i := range len(chain) - 1 {
		list := r[authority(chain[i+1])]
		if list == nil {
			continue
		}
		if list.serials[string(chain[i].SerialNumber.Bytes())] {
			return until, &CertificateError{CertificateRevoked, nil}
		}
		if list.until.IsZero() {
			continue
		}
		if now.After(list.until) {
			return until, &CertificateError{CertificateRevocationStale, nil}
		}
		if until.IsZero() || list.until.Before(until) {
			until = list.until
		}
	}
	return until, nil
}

// parseRevocations reads the lists in PEM, or one in DER. Each has to be whole (no
// delta, no part of a list: those have a critical extension, RFC 5280 sections 5.2.4
// and 5.2.5) and signed by one of the authorities, since no other could revoke
// anything.
func parseRevocations(file string, text []byte, authorities []*x509.Certificate) (revocations, error) {
	lists := revocations{}
	add := func(der []byte) error {
		fail := func(why string, err error) error { return &FileError{File: file, Why: why, Err: err} }
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			return fail("it has a revocation list that cannot be parsed", err)
		}
		for _, extension := range list.Extensions {
			if extension.Critical {
				return fail("it has a revocation list with a critical extension, "+extension.Id.String()+", which only complete lists lack", nil)
			}
		}
		var by *x509.Certificate
		for _, cert := range authorities {
			if bytes.Equal(cert.RawSubject, list.RawIssuer) && list.CheckSignatureFrom(cert) == nil {
				by = cert
				break
			}
		}
		if by == nil {
			return fail("it has a revocation list that no client authority signed", nil)
		}
		known := lists[authority(by)]
		if known == nil {
			known = &revoked{serials: map[string]bool{}, until: list.NextUpdate}
			lists[authority(by)] = known
		} else if known.until.Before(list.NextUpdate) {
			known.until = list.NextUpdate
		}
		for _, entry := range list.RevokedCertificateEntries {
			known.serials[string(entry.SerialNumber.Bytes())] = true
		}
		return nil
	}
	if !bytes.Contains(text, []byte("-----BEGIN")) {
		return lists, add(text)
	}
	err := eachBlock(file, text, "X509 CRL", add)
	return lists, err
}

// eachBlock calls use with each PEM block of a file that holds one type alone, and
// at least one of it. Another type may be a private key, put there by mistake.
func eachBlock(file string, text []byte, kind string, use func(der []byte) error) error {
	for n := 0; ; n++ {
		var block *pem.Block
		block, text = pem.Decode(text)
		switch {
		case block == nil && n == 0:
			return &FileError{File: file, Why: "there is no " + kind + " in PEM in it"}
		case block == nil && bytes.Contains(text, []byte("-----BEGIN")):
			return &FileError{File: file, Why: "a PEM block in it is damaged"}
		case block == nil:
			return nil
		case block.Type != kind:
			return &FileError{File: file, Why: "a PEM block in it is no " + kind}
		}
		if err := use(block.Bytes); err != nil {
			return err
		}
	}
}
