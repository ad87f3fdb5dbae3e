package revocation

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

const maxOCSPBytes = 64 << 10

// ocspResponse is a BasicOCSPResponse as it was encoded. Nothing in it is proved.
type ocspResponse struct {
	tbs, algorithm []byte
	signature      []byte
	certs          [][]byte

	responderName []byte // Name; nil: byKey
	responderKey  []byte
	producedAt    time.Time
	singles       []ocspSingle
}

// ocspSingle is one SingleResponse.
type ocspSingle struct {
	id                     certID
	status                 Outcome // NotChecked: unknown
	revoked                entry
	thisUpdate, nextUpdate time.Time
	critical               string // the first critical extension that is not known, dotted
}

// certID says which certificate is meant (RFC 6960, section 4.1.1).
type certID struct {
	hashOf   cryptobyte.String // AlgorithmIdentifier
	nameHash []byte
	keyHash  []byte
	serial   []byte // the content of the INTEGER
}

// responseStatuses are those of OCSPResponseStatus (RFC 6960, section 4.2.1).
var responseStatuses = map[int]string{
	1: "malformedRequest", 2: "internalError", 3: "tryLater", 5: "sigRequired", 6: "unauthorized",
}

// parseOCSP reads an OCSPResponse. The result points into der.
func parseOCSP(der []byte) (*ocspResponse, error) {
	if len(der) > maxOCSPBytes {
		return nil, fmt.Errorf("%w: %d bytes", tooLarge, len(der))
	}
	input := cryptobyte.String(der)
	var outer, wrapped, typed, octets cryptobyte.String
	var status int
	var present bool
	if !input.ReadASN1(&outer, cbasn1.SEQUENCE) || !input.Empty() || !outer.ReadASN1Enum(&status) {
		return nil, malformed
	}
	if status != 0 {
		name, ok := responseStatuses[status]
		if !ok {
			name = fmt.Sprintf("status %d", status)
		}
		return nil, fmt.Errorf("%w: %s", responderRefused, name)
	}
	var kind asn1.ObjectIdentifier
	if !outer.ReadOptionalASN1(&wrapped, &present, constructed(0)) || !present || !outer.Empty() ||
		!wrapped.ReadASN1(&typed, cbasn1.SEQUENCE) || !wrapped.Empty() || !typed.ReadASN1ObjectIdentifier(&kind) ||
		!typed.ReadASN1(&octets, cbasn1.OCTET_STRING) || !typed.Empty() {
		return nil, malformed
	}
	if kind.String() != oidOCSPBasic {
		return nil, fmt.Errorf("%w: response type %s", malformed, quote(kind.String()))
	}
	return parseBasic(octets)
}

func parseBasic(der cryptobyte.String) (*ocspResponse, error) {
	r := &ocspResponse{}
	var basic, tbs, algorithm, certs, list cryptobyte.String
	var present, ok bool
	if !der.ReadASN1(&basic, cbasn1.SEQUENCE) || !der.Empty() || !basic.ReadASN1Element(&tbs, cbasn1.SEQUENCE) ||
		!basic.ReadASN1Element(&algorithm, cbasn1.SEQUENCE) {
		return nil, malformed
	}
	var signature cryptobyte.String
	if !basic.ReadASN1Element(&signature, cbasn1.BIT_STRING) ||
		!basic.ReadOptionalASN1(&certs, &present, constructed(0)) || !basic.Empty() {
		return nil, malformed
	}
	if r.signature, ok = readSignature(signature); !ok {
		return nil, malformed
	}
	if present && (!certs.ReadASN1(&list, cbasn1.SEQUENCE) || !certs.Empty()) {
		return nil, malformed
	}
	for !list.Empty() {
		var cert cryptobyte.String
		if !list.ReadASN1Element(&cert, cbasn1.SEQUENCE) {
			return nil, malformed
		}
		r.certs = append(r.certs, cert)
	}
	r.tbs, r.algorithm = tbs, algorithm
	return r, r.parseData(tbs)
}

// parseData reads ResponseData.
func (r *ocspResponse) parseData(der cryptobyte.String) error {
	var data, version, responder, singles, extensions cryptobyte.String
	var hasVersion, hasExtensions bool
	var tag cbasn1.Tag
	if !der.ReadASN1(&data, cbasn1.SEQUENCE) || !der.Empty() ||
		!data.ReadOptionalASN1(&version, &hasVersion, constructed(0)) || !data.ReadAnyASN1(&responder, &tag) {
		return malformed
	}
	if number := 0; hasVersion && (!version.ReadASN1Integer(&number) || !version.Empty() || number != 0) {
		return fmt.Errorf("%w: version", malformed)
	}
	var name, key cryptobyte.String
	switch {
	case tag == constructed(1) && responder.ReadASN1Element(&name, cbasn1.SEQUENCE) && responder.Empty():
		r.responderName = name
	case tag == constructed(2) && responder.ReadASN1(&key, cbasn1.OCTET_STRING) && responder.Empty():
		r.responderKey = key
	default:
		return fmt.Errorf("%w: responder", malformed)
	}
	if !data.PeekASN1Tag(cbasn1.GeneralizedTime) || !readTime(&data, &r.producedAt) ||
		!data.ReadASN1(&singles, cbasn1.SEQUENCE) ||
		!data.ReadOptionalASN1(&extensions, &hasExtensions, constructed(1)) || !data.Empty() {
		return malformed
	}
	if hasExtensions {
		critical, ok := unknownExtension(extensions)
		if !ok {
			return malformed
		}
		if critical != "" {
			return fmt.Errorf("%w: %s", unknownCritical, quote(critical))
		}
	}
	for !singles.Empty() {
		var der cryptobyte.String
		if !singles.ReadASN1(&der, cbasn1.SEQUENCE) {
			return malformed
		}
		one, ok := parseSingle(der)
		if !ok {
			return fmt.Errorf("%w: single response", malformed)
		}
		r.singles = append(r.singles, one)
	}
	return nil
}

func parseSingle(der cryptobyte.String) (one ocspSingle, ok bool) {
	var id, nameHash, keyHash, serial, status, next, extensions cryptobyte.String
	var hasNext, hasExtensions bool
	var tag cbasn1.Tag
	if !der.ReadASN1(&id, cbasn1.SEQUENCE) ||
		!id.ReadASN1Element(&one.id.hashOf, cbasn1.SEQUENCE) || !id.ReadASN1(&nameHash, cbasn1.OCTET_STRING) ||
		!id.ReadASN1(&keyHash, cbasn1.OCTET_STRING) || !id.ReadASN1(&serial, cbasn1.INTEGER) || !id.Empty() ||
		!der.ReadAnyASN1(&status, &tag) ||
		!der.PeekASN1Tag(cbasn1.GeneralizedTime) || !readTime(&der, &one.thisUpdate) ||
		!der.ReadOptionalASN1(&next, &hasNext, constructed(0)) ||
		!der.ReadOptionalASN1(&extensions, &hasExtensions, constructed(1)) || !der.Empty() {
		return one, false
	}
	one.id.nameHash, one.id.keyHash, one.id.serial = nameHash, keyHash, serial
	if hasNext && (!next.PeekASN1Tag(cbasn1.GeneralizedTime) || !readTime(&next, &one.nextUpdate) || !next.Empty() ||
		one.nextUpdate.Before(one.thisUpdate)) {
		return one, false
	}
	if hasExtensions {
		if one.critical, ok = unknownExtension(extensions); !ok {
			return one, false
		}
	}
	switch tag {
	case primitive(0):
		one.status = Good
		return one, status.Empty()
	case primitive(2):
		one.status = NotChecked
		return one, status.Empty()
	case constructed(1):
		one.status = Revoked
		return one, parseRevoked(status, &one.revoked)
	}
	return one, false
}

func parseRevoked(der cryptobyte.String, e *entry) bool {
	var code cryptobyte.String
	var present bool
	var value int
	if !der.PeekASN1Tag(cbasn1.GeneralizedTime) || !readTime(&der, &e.at) ||
		!der.ReadOptionalASN1(&code, &present, constructed(0)) || !der.Empty() {
		return false
	}
	if present && (!code.ReadASN1Enum(&value) || !code.Empty() || value < 0 || value > 255) {
		return false
	}
	e.reason = uint8(value)
	return true
}

// unknownExtension returns the first critical extension that nobody here knows, or "".
func unknownExtension(der cryptobyte.String) (oid string, ok bool) {
	extensions, ok := readExtensions(der)
	if !ok {
		return "", false
	}
	for _, x := range extensions {
		switch x.oid {
		case oidOCSPNonce, oidOCSPExtended, oidOCSPArchiveCutoff, oidTimestampList: // none changes what the status means
		default:
			if x.critical {
				return x.oid, true
			}
		}
	}
	return "", true
}

// publicKeyBits is the content of the BIT STRING of a SubjectPublicKeyInfo, which key hashes are made of.
func publicKeyBits(cert *x509.Certificate) ([]byte, bool) {
	input := cryptobyte.String(cert.RawSubjectPublicKeyInfo)
	var spki cryptobyte.String
	var bits []byte
	ok := input.ReadASN1(&spki, cbasn1.SEQUENCE) && spki.SkipASN1(cbasn1.SEQUENCE) && spki.ReadASN1BitStringAsBytes(&bits)
	return bits, ok
}
