package revocation

import (
	"encoding/binary"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// A distinguished name is compared in the form that this file makes: without regard to case, repeated spaces and the
// type of string (RFC 5280, section 7.1). Names only choose which signature is worth verifying; none proves anything.

// canonicalName is the form of a Name. Equal forms are equal names.
func canonicalName(der []byte) (string, bool) {
	input := cryptobyte.String(der)
	var rdns cryptobyte.String
	if !input.ReadASN1(&rdns, asn1.SEQUENCE) || !input.Empty() {
		return "", false
	}
	var b strings.Builder
	for !rdns.Empty() {
		var rdn cryptobyte.String
		if !rdns.ReadASN1(&rdn, asn1.SET) {
			return "", false
		}
		part, ok := canonicalRDN(rdn)
		if !ok {
			return "", false
		}
		b.WriteString(part)
	}
	return b.String(), true
}

// canonicalRDN is the form of one RelativeDistinguishedName; appended to that of a name, it gives the name below it.
func canonicalRDN(rdn cryptobyte.String) (string, bool) {
	var parts []string
	for !rdn.Empty() {
		var attribute, oid, value cryptobyte.String
		var tag asn1.Tag
		if !rdn.ReadASN1(&attribute, asn1.SEQUENCE) || !attribute.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) ||
			!attribute.ReadAnyASN1(&value, &tag) || !attribute.Empty() {
			return "", false
		}
		parts = append(parts, counted(string(oid))+canonicalValue(tag, value))
	}
	slices.Sort(parts) // a SET has no order
	return counted(strings.Join(parts, "")), true
}

// Tags of strings that cryptobyte does not name.
const (
	tagUniversalString = asn1.Tag(28)
	tagBMPString       = asn1.Tag(30)
)

func canonicalValue(tag asn1.Tag, value []byte) string {
	var text string
	switch {
	case tag == asn1.UTF8String || tag == asn1.PrintableString || tag == asn1.IA5String:
		text = string(value)
	case tag == tagBMPString && len(value)%2 == 0:
		units := make([]uint16, 0, len(value)/2)
		for ; len(value) > 0; value = value[2:] {
			units = append(units, binary.BigEndian.Uint16(value))
		}
		text = string(utf16.Decode(units))
	case tag == tagUniversalString && len(value)%4 == 0:
		var b strings.Builder
		for ; len(value) > 0; value = value[4:] {
			b.WriteRune(rune(binary.BigEndian.Uint32(value)))
		}
		text = b.String()
	default:
		return string(rune(tag)) + counted(string(value))
	}
	if !utf8.ValidString(text) {
		return string(rune(tag)) + counted(text)
	}
	return "\x00" + counted(strings.ToLower(strings.Join(strings.Fields(text), " ")))
}

// counted puts the length before s, so that parts cannot run into each other.
func counted(s string) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(s)))) + s
}
