package revocation

import (
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// extension is one of an Extensions sequence (RFC 5280, section 4.1). Its value points into what it was read from.
type extension struct {
	oid      string // dotted
	critical bool
	value    cryptobyte.String
}

// Extensions that are looked at.
const (
	oidKeyUsage          = "2.5.29.15"
	oidCRLNumber         = "2.5.29.20"
	oidReasonCode        = "2.5.29.21"
	oidHoldInstruction   = "2.5.29.23"
	oidInvalidityDate    = "2.5.29.24"
	oidDeltaCRL          = "2.5.29.27"
	oidIssuingPoint      = "2.5.29.28"
	oidCRLDistribution   = "2.5.29.31"
	oidAuthorityKeyID    = "2.5.29.35"
	oidTLSFeature        = "1.3.6.1.5.5.7.1.24"
	oidOCSPNonce         = "1.3.6.1.5.5.7.48.1.2"
	oidOCSPBasic         = "1.3.6.1.5.5.7.48.1.1"
	oidOCSPExtended      = "1.3.6.1.5.5.7.48.1.9"
	oidOCSPArchiveCutoff = "1.3.6.1.5.5.7.48.1.6"
	oidTimestampList     = "1.3.6.1.4.1.11129.2.4.5" // RFC 6962, section 3.3
)

// readExtensions reads the SEQUENCE OF Extension that fills der. An empty one is malformed, as is one that is there twice.
func readExtensions(der cryptobyte.String) ([]extension, bool) {
	var list cryptobyte.String
	if !der.ReadASN1(&list, cbasn1.SEQUENCE) || !der.Empty() || list.Empty() {
		return nil, false
	}
	var all []extension
	seen := make(map[string]bool)
	for !list.Empty() {
		var one cryptobyte.String
		var oid asn1.ObjectIdentifier
		e := extension{}
		if !list.ReadASN1(&one, cbasn1.SEQUENCE) || !one.ReadASN1ObjectIdentifier(&oid) ||
			one.PeekASN1Tag(cbasn1.BOOLEAN) && !one.ReadASN1Boolean(&e.critical) ||
			!one.ReadASN1(&e.value, cbasn1.OCTET_STRING) || !one.Empty() {
			return nil, false
		}
		if e.oid = oid.String(); seen[e.oid] {
			return nil, false
		}
		seen[e.oid] = true
		all = append(all, e)
	}
	return all, true
}
