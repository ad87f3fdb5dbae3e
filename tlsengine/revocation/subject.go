package revocation

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// subject is one certificate that is asked about, with what its path says about who may answer.
type subject struct {
	owner   string // see Query.Owner
	cert    *x509.Certificate
	issuer  *x509.Certificate   // the next one of the verified path
	signers []*x509.Certificate // issuer, and those above it that bear the same name: its earlier keys
	now     time.Time
	leafAge time.Duration // see Config.LeafCRLAge

	issuerName string // canonical
	serial     string // the content of the INTEGER
	isCA       bool
	points     []pointName // of the distribution points that can be used; what a given CRL may be for
	sources    []source
	skipped    []error // what was named and is not asked, and why

	ocspIssuer, crlIssuer [sha256.Size]byte // for the cache
}

// source is where the certificate says that an answer is to be had.
type source struct {
	kind Source // OCSP or CRL
	url  string
}

func (s source) String() string {
	if s.kind == OCSP {
		return "OCSP responder " + quote(s.url)
	}
	return "CRL " + quote(s.url)
}

const maxSources = 3 // of one certificate

func newSubject(chain []*x509.Certificate, depth int, now time.Time) (*subject, error) {
	s := &subject{cert: chain[depth], issuer: chain[depth+1], now: now}
	if s.cert == nil || s.issuer == nil {
		return nil, unusableChain
	}
	name, ok := canonicalName(s.issuer.RawSubject)
	var number cryptobyte.String
	if number, ok = rawSerial(s.cert, ok); !ok {
		return nil, unusableChain
	}
	s.issuerName, s.serial, s.isCA = name, string(number), s.cert.BasicConstraintsValid && s.cert.IsCA
	s.signers = []*x509.Certificate{s.issuer}
	for _, above := range chain[depth+2:] {
		if above == nil {
			break
		}
		if other, ok := canonicalName(above.RawSubject); !ok || other != name {
			break
		}
		s.signers = append(s.signers, above)
	}
	s.ocspIssuer, s.crlIssuer = signerKey(s.signers[:1]), signerKey(s.signers)
	s.findPoints(name)
	s.findSources()
	return s, nil
}

// signerKey stands for names and keys: an answer that one of them signed must not serve a path without it.
func signerKey(signers []*x509.Certificate) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, c := range signers {
		_, _ = h.Write([]byte(counted(string(c.RawSubject)) + counted(string(c.RawSubjectPublicKeyInfo))))
	}
	h.Sum(sum[:0])
	return sum
}

// rawSerial finds the serial number as it was encoded: what a CRL says of 00 80 it does not say of 80.
func rawSerial(cert *x509.Certificate, ok bool) (cryptobyte.String, bool) {
	input := cryptobyte.String(cert.RawTBSCertificate)
	var tbs, serial cryptobyte.String
	ok = ok && input.ReadASN1(&tbs, asn1.SEQUENCE) && tbs.SkipOptionalASN1(constructed(0)) &&
		tbs.ReadASN1(&serial, asn1.INTEGER) && minimalInteger(serial)
	return serial, ok
}

// findPoints reads the distribution points. Without the extension the issuer's name stands for the point (RFC 5280,
// section 6.3.3).
func (s *subject) findPoints(issuer string) {
	der, ok := extensionValue(s.cert, oidCRLDistribution)
	if !ok {
		s.points = []pointName{directoryName(issuer)}
		return
	}
	if s.points, ok = readDistributionPoints(der, issuer); !ok {
		s.skipped = append(s.skipped, fmt.Errorf("CRL distribution points: %w", malformed))
	}
}

// findSources chooses the URLs to ask: CRLs first, but the last place is for an OCSP responder when there is one.
func (s *subject) findSources() {
	var lists, responders []source
	for _, point := range s.points {
		if uri, ok := point.uri(); ok {
			lists = s.appendSource(lists, source{CRL, uri})
		}
	}
	for _, uri := range s.cert.OCSPServer {
		responders = s.appendSource(responders, source{OCSP, uri})
	}
	first := min(len(lists), maxSources-min(1, len(responders)))
	all := slices.Concat(lists[:first], responders, lists[first:])
	s.sources = all[:min(len(all), maxSources)]
	for _, more := range all[len(s.sources):] {
		s.skipped = append(s.skipped, fmt.Errorf("%s: %w", more, tooManyURLs))
	}
}

// maxNamed bounds how many URLs of one certificate are looked at.
const maxNamed = 32

func (s *subject) appendSource(list []source, one source) []source {
	if slices.Contains(list, one) || len(list)+len(s.skipped) >= maxNamed {
		return list
	}
	if err := checkURL(one.url); err != nil {
		s.skipped = append(s.skipped, fmt.Errorf("%s: %w", one, err))
		return list
	}
	return append(list, one)
}

// checkURL refuses all but http: a CRL and an OCSP response are signed, and fetching them over TLS would ask about the
// revocation of somebody else first (RFC 5280, section 8).
func checkURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || !strings.EqualFold(u.Scheme, "http") || u.Host == "" || u.User != nil {
		return schemeNotHTTP
	}
	return nil
}

func (s *subject) namesCRL() bool {
	return slices.ContainsFunc(s.sources, func(one source) bool { return one.kind == CRL })
}

func extensionValue(cert *x509.Certificate, oid string) ([]byte, bool) {
	for _, e := range cert.Extensions {
		if e.Id.String() == oid {
			return e.Value, true
		}
	}
	return nil, false
}

func hasExtension(cert *x509.Certificate, oid string) bool {
	_, ok := extensionValue(cert, oid)
	return ok
}
