package revocation

import (
	"crypto/x509"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

const statusRequest = 5 // the TLS extension (RFC 6066, section 8)

// mustStaple says whether a certificate promises a staple (RFC 7633, section 4). One whose promise cannot be read is taken
// to have promised: whoever issued it wanted more than nothing.
func mustStaple(cert *x509.Certificate) bool {
	der, ok := extensionValue(cert, oidTLSFeature)
	if !ok {
		return false
	}
	input := cryptobyte.String(der)
	var features cryptobyte.String
	if !input.ReadASN1(&features, asn1.SEQUENCE) || !input.Empty() {
		return true
	}
	for !features.Empty() {
		var feature int
		if !features.ReadASN1Integer(&feature) || feature == statusRequest {
			return true
		}
	}
	return false
}
