package revocation

import (
	"slices"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// pointName is one name of a distribution point, comparable: its first byte is the kind.
type pointName string

func uriName(uri string) pointName             { return pointName("u" + uri) }
func directoryName(canonical string) pointName { return pointName("d" + canonical) }

func (n pointName) uri() (string, bool) { return string(n[1:]), n[0] == 'u' }

// Tags of GeneralName (RFC 5280, section 4.2.1.6).
var (
	tagDirectoryName = asn1.Tag(4).ContextSpecific().Constructed()
	tagURI           = asn1.Tag(6).ContextSpecific()
)

func primitive(n uint8) asn1.Tag   { return asn1.Tag(n).ContextSpecific() }
func constructed(n uint8) asn1.Tag { return primitive(n).Constructed() }

// readPointName reads the DistributionPointName that fills s. issuer is the canonical name that a relative one is below.
func readPointName(s cryptobyte.String, issuer string) ([]pointName, bool) {
	var content cryptobyte.String
	if s.PeekASN1Tag(constructed(1)) {
		if !s.ReadASN1(&content, constructed(1)) || !s.Empty() {
			return nil, false
		}
		rdn, ok := canonicalRDN(content)
		return []pointName{directoryName(issuer + rdn)}, ok
	}
	if !s.ReadASN1(&content, constructed(0)) || !s.Empty() || content.Empty() {
		return nil, false
	}
	var names []pointName
	for !content.Empty() {
		var name cryptobyte.String
		var tag asn1.Tag
		if !content.ReadAnyASN1(&name, &tag) {
			return nil, false
		}
		switch tag {
		case tagURI:
			names = append(names, uriName(string(name)))
		case tagDirectoryName:
			if canonical, ok := canonicalName(name); ok {
				names = append(names, directoryName(canonical))
			}
		}
	}
	return names, true
}

// readDistributionPoints reads the CRLDistributionPoints (RFC 5280, section 4.2.1.13) that fill der. Points for some
// reasons only, and those where another than the certificate's issuer signs, are left out: nothing here can use them.
func readDistributionPoints(der cryptobyte.String, issuer string) ([]pointName, bool) {
	var list cryptobyte.String
	if !der.ReadASN1(&list, asn1.SEQUENCE) || !der.Empty() {
		return nil, false
	}
	var all []pointName
	for !list.Empty() {
		var point, name, rest cryptobyte.String
		var named, reasons, other bool
		if !list.ReadASN1(&point, asn1.SEQUENCE) ||
			!point.ReadOptionalASN1(&name, &named, constructed(0)) ||
			!point.ReadOptionalASN1(&rest, &reasons, primitive(1)) ||
			!point.ReadOptionalASN1(&rest, &other, constructed(2)) || !point.Empty() {
			return nil, false
		}
		if !named || reasons || other {
			continue
		}
		names, ok := readPointName(name, issuer)
		if !ok {
			return nil, false
		}
		all = append(all, names...)
	}
	return all, true
}

// issuingPoint is what a CRL says it is for (IssuingDistributionPoint, RFC 5280, section 5.2.5).
type issuingPoint struct {
	names    []pointName // nil: none is given, it is for all points
	named    bool        // a name is given, though it may be of a kind that is not read
	onlyUser bool
	onlyCA   bool
}

// readIssuingPoint reads the extension's value. What makes a CRL unusable for everybody is an error.
func readIssuingPoint(der cryptobyte.String, issuer string) (*issuingPoint, error) {
	var content, name, reasons cryptobyte.String
	p := &issuingPoint{}
	var onlyAttributes, indirect, hasReasons bool
	if !der.ReadASN1(&content, asn1.SEQUENCE) || !der.Empty() || content.Empty() ||
		!content.ReadOptionalASN1(&name, &p.named, constructed(0)) ||
		!readFlag(&content, 1, &p.onlyUser) || !readFlag(&content, 2, &p.onlyCA) ||
		!content.ReadOptionalASN1(&reasons, &hasReasons, primitive(3)) ||
		!readFlag(&content, 4, &indirect) || !readFlag(&content, 5, &onlyAttributes) || !content.Empty() {
		return nil, malformed
	}
	if p.named {
		var ok bool
		if p.names, ok = readPointName(name, issuer); !ok {
			return nil, malformed
		}
	}
	switch {
	case p.onlyUser && p.onlyCA:
		return nil, malformed
	case indirect:
		return nil, indirectCRL
	case hasReasons:
		return nil, someReasons
	case onlyAttributes:
		return nil, otherScope
	}
	return p, nil
}

// readFlag reads an optional BOOLEAN under a context tag. Only TRUE is ever encoded.
func readFlag(s *cryptobyte.String, n uint8, flag *bool) bool {
	var content cryptobyte.String
	if !s.ReadOptionalASN1(&content, flag, primitive(n)) {
		return false
	}
	return !*flag || len(content) == 1 && content[0] == 0xff
}

// covers says whether the CRL speaks for a certificate whose distribution points have one of these names. A nil p is a
// CRL without the extension, which speaks for all.
func (p *issuingPoint) covers(isCA bool, points []pointName) error {
	switch {
	case p == nil:
		return nil
	case p.onlyCA && !isCA, p.onlyUser && isCA:
		return otherScope
	case p.named && !slices.ContainsFunc(points, func(n pointName) bool { return slices.Contains(p.names, n) }):
		return otherPoint
	}
	return nil
}
