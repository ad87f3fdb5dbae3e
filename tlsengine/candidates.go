package tlsengine

import (
	"crypto/x509"
	"slices"
	"time"
)

// maxSiblings is how many certificates of one name are considered: enough for every way in which an authority was
// cross-signed and renewed, too few to be worth an attack.
const maxSiblings = 8

// candidates returns the certificates that a chain from leaf may be built from: those whose name some certificate on the
// way names as its issuer, and of each name the most promising ones.
func candidates(leaf *x509.Certificate, presented, configured []*x509.Certificate, now time.Time) map[string][]*x509.Certificate {
	all := bySubject(distinct([]*x509.Certificate{leaf}, presented, configured)[1:])
	found := make(map[string][]*x509.Certificate)
	wanted := map[string]bool{string(leaf.AuthorityKeyId): true}
	for queue := []*x509.Certificate{leaf}; len(queue) > 0; queue = queue[1:] {
		name := string(queue[0].RawIssuer)
		if _, ok := found[name]; ok {
			continue
		}
		found[name] = all[name]
		for _, issuer := range all[name] {
			wanted[string(issuer.AuthorityKeyId)] = true
		}
		queue = append(queue, all[name]...)
	}
	for name, certs := range found {
		found[name] = mostPromising(certs, wanted, now)
	}
	return found
}

// mostPromising keeps the certificates of one name whose key identifier somebody wants before those without one, these
// before those with another, and then those that are valid now. Otherwise the order stays.
func mostPromising(certs []*x509.Certificate, wanted map[string]bool, now time.Time) []*x509.Certificate {
	rank := func(cert *x509.Certificate) int {
		r := 0
		switch {
		case len(cert.SubjectKeyId) > 0 && wanted[string(cert.SubjectKeyId)]:
		case len(cert.SubjectKeyId) == 0 || wanted[""]:
			r = 2
		default:
			r = 4
		}
		if outside(cert, now) {
			r++
		}
		return r
	}
	if len(certs) <= maxSiblings {
		return certs
	}
	certs = slices.Clone(certs)
	slices.SortStableFunc(certs, func(a, b *x509.Certificate) int { return rank(a) - rank(b) })
	return certs[:maxSiblings]
}

func bySubject(certs []*x509.Certificate) map[string][]*x509.Certificate {
	m := make(map[string][]*x509.Certificate)
	for _, cert := range certs {
		m[string(cert.RawSubject)] = append(m[string(cert.RawSubject)], cert)
	}
	return m
}

// outside reports whether now is outside cert's validity.
func outside(cert *x509.Certificate, now time.Time) bool {
	return now.Before(cert.NotBefore) || now.After(cert.NotAfter)
}
