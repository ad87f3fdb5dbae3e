package certinfo

import (
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Name is a distinguished name, from its own encoding: crypto/x509 keeps neither order nor unknown string types.
type Name struct {
	// The first value of each; empty: absent.
	CommonName, Country, Locality, Organization, OrganizationalUnit, Province string

	Text       string      // RFC 4514: the last attribute first, every special character escaped
	DER        []byte      // the whole RDNSequence
	Attributes []Attribute // in order of encoding
}

// Attribute is one type and value of a Name.
type Attribute struct {
	OID       string // dotted
	ShortName string // RFC 4519, such as "CN"; empty: it has none
	Value     string // decoded; "#" and the DER in hexadecimal for a type that is no string
}

// shortNames has the types of RFC 4514, section 3, and those that openssl prints by a name.
var shortNames = map[string]string{
	"2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
	"2.5.4.9": "street", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title", "2.5.4.17": "postalCode",
	"2.5.4.42": "GN", "2.5.4.43": "initials", "2.5.4.46": "dnQualifier", "2.5.4.65": "pseudonym",
	"2.5.4.97":                   "organizationIdentifier",
	"0.9.2342.19200300.100.1.1":  "UID",
	"0.9.2342.19200300.100.1.25": "DC",
	"1.2.840.113549.1.9.1":       "emailAddress",
}

// rfc4514Names may stand for their OID in Text; every other type is written as its OID.
var rfc4514Names = map[string]bool{"CN": true, "L": true, "ST": true, "O": true, "OU": true, "C": true, "street": true,
	"DC": true, "UID": true}

var errName = errors.New("certinfo: malformed distinguished name")

// ParseName decodes a DER RDNSequence.
func ParseName(der []byte) (Name, error) {
	input := cryptobyte.String(der)
	var sequence cryptobyte.String
	if !input.ReadASN1(&sequence, asn1.SEQUENCE) || !input.Empty() {
		return Name{}, errName
	}
	n := Name{DER: der}
	var rdns []string
	for !sequence.Empty() {
		var set cryptobyte.String
		if !sequence.ReadASN1(&set, asn1.SET) || set.Empty() {
			return Name{}, errName
		}
		var rdn []string
		for !set.Empty() {
			a, text, ok := readAttribute(&set)
			if !ok {
				return Name{}, errName
			}
			n.add(a)
			rdn = append(rdn, text)
		}
		rdns = append(rdns, strings.Join(rdn, "+"))
	}
	for i := len(rdns) - 1; i >= 0; i-- { // RFC 4514, section 2.1
		n.Text += rdns[i]
		if i > 0 {
			n.Text += ","
		}
	}
	return n, nil
}

func (n *Name) add(a Attribute) {
	n.Attributes = append(n.Attributes, a)
	var field *string
	switch a.ShortName {
	case "CN":
		field = &n.CommonName
	case "C":
		field = &n.Country
	case "L":
		field = &n.Locality
	case "O":
		field = &n.Organization
	case "OU":
		field = &n.OrganizationalUnit
	case "ST":
		field = &n.Province
	default:
		return
	}
	if *field == "" {
		*field = a.Value
	}
}

func readAttribute(set *cryptobyte.String) (a Attribute, text string, ok bool) {
	var pair, element, content cryptobyte.String
	if !set.ReadASN1(&pair, asn1.SEQUENCE) {
		return a, "", false
	}
	if a.OID, ok = readOID(&pair); !ok {
		return a, "", false
	}
	var tag asn1.Tag
	if !pair.ReadAnyASN1Element(&element, &tag) || !pair.Empty() {
		return a, "", false
	}
	raw := element
	if !raw.ReadAnyASN1(&content, &tag) {
		return a, "", false
	}
	a.ShortName = shortNames[a.OID]
	label, known := a.OID, rfc4514Names[a.ShortName]
	if known {
		label = a.ShortName
	}
	value, isString := decodeString(tag, content)
	a.Value = value
	hexadecimal := "#" + hex.EncodeToString(element)
	if !isString {
		a.Value = hexadecimal
	}
	if isString && known {
		return a, label + "=" + escape(value), true
	}
	return a, label + "=" + hexadecimal, true // RFC 4514, section 2.4
}

// Tags that cryptobyte has no name for.
const (
	tagNumericString   = asn1.Tag(18)
	tagVisibleString   = asn1.Tag(26)
	tagUniversalString = asn1.Tag(28)
	tagBMPString       = asn1.Tag(30)
)

// decodeString decodes the string types of X.520; false: not a string, or not well-formed.
func decodeString(tag asn1.Tag, content []byte) (string, bool) {
	switch tag {
	case asn1.UTF8String:
		return string(content), utf8.Valid(content)
	case asn1.PrintableString, asn1.IA5String, tagNumericString, tagVisibleString:
		for _, c := range content {
			if c >= 0x80 {
				return "", false
			}
		}
		return string(content), true
	case asn1.T61String: // in practice Latin-1
		runes := make([]rune, len(content))
		for i, c := range content {
			runes[i] = rune(c)
		}
		return string(runes), true
	case tagBMPString:
		if len(content)%2 != 0 {
			return "", false
		}
		units := make([]uint16, 0, len(content)/2)
		for i := 0; i < len(content); i += 2 {
			units = append(units, uint16(content[i])<<8|uint16(content[i+1]))
		}
		return string(utf16.Decode(units)), true
	case tagUniversalString:
		if len(content)%4 != 0 {
			return "", false
		}
		var runes []rune
		for i := 0; i < len(content); i += 4 {
			r := uint32(content[i])<<24 | uint32(content[i+1])<<16 | uint32(content[i+2])<<8 | uint32(content[i+3])
			if r > utf8.MaxRune {
				return "", false
			}
			runes = append(runes, rune(r))
		}
		return string(runes), true
	}
	return "", false
}

// escape follows RFC 4514, section 2.4, and escapes control characters too, so that the text is one line.
func escape(value string) string {
	var b strings.Builder
	for i, r := range value {
		last := i+utf8.RuneLen(r) == len(value)
		switch {
		case strings.ContainsRune(`"+,;<>\`, r), i == 0 && (r == ' ' || r == '#'), last && r == ' ':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			b.WriteString(`\` + hex.EncodeToString([]byte{byte(r)}))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// readOID reads an OBJECT IDENTIFIER in dotted form; arcs of more than 63 bits are refused.
func readOID(s *cryptobyte.String) (string, bool) {
	var content cryptobyte.String
	if !s.ReadASN1(&content, asn1.OBJECT_IDENTIFIER) || content.Empty() {
		return "", false
	}
	var b strings.Builder
	first := true
	for len(content) > 0 {
		var arc uint64
		for {
			if len(content) == 0 || arc > 1<<56 || arc == 0 && content[0] == 0x80 {
				return "", false
			}
			c := content[0]
			content = content[1:]
			arc = arc<<7 | uint64(c&0x7f)
			if c < 0x80 {
				break
			}
		}
		if first {
			root := min(arc/40, 2)
			b.WriteString(strconv.FormatUint(root, 10) + "." + strconv.FormatUint(arc-40*root, 10))
			first = false
			continue
		}
		b.WriteString("." + strconv.FormatUint(arc, 10))
	}
	return b.String(), true
}
