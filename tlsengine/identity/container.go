package identity

import (
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// container is the outermost structure of a private key in DER.
type container uint8

const (
	unknownContainer container = iota
	containerPKCS8
	containerEncryptedPKCS8
	containerPKCS1
	containerSEC1
	containerDSA // OpenSSL's own: six integers
)

// sniff tells containers apart by their first elements, which have no type in common, so that nothing has to be tried and
// no label believed. rest is what follows the key.
func sniff(der []byte) (kind container, rest []byte) {
	s := cryptobyte.String(der)
	var body cryptobyte.String
	if !s.ReadASN1(&body, asn1.SEQUENCE) {
		return unknownContainer, nil
	}
	rest = s
	if body.PeekASN1Tag(asn1.SEQUENCE) {
		if body.SkipASN1(asn1.SEQUENCE) && body.PeekASN1Tag(asn1.OCTET_STRING) {
			return containerEncryptedPKCS8, rest
		}
		return unknownContainer, rest
	}
	if !body.SkipASN1(asn1.INTEGER) { // the version
		return unknownContainer, rest
	}
	switch {
	case body.PeekASN1Tag(asn1.SEQUENCE):
		return containerPKCS8, rest
	case body.PeekASN1Tag(asn1.OCTET_STRING):
		return containerSEC1, rest
	}
	integers := 1
	for body.SkipASN1(asn1.INTEGER) {
		integers++
	}
	switch {
	case integers == 6:
		return containerDSA, rest
	case integers >= 9:
		return containerPKCS1, rest
	}
	return unknownContainer, rest
}
