package starttls

import (
	"bytes"
	"fmt"
)

const startTLSOID = "1.3.6.1.4.1.1466.20037"

// ldapRequest is the message 1, an ExtendedRequest [APPLICATION 23] whose requestName [0] is the OID.
const ldapRequest = "\x30\x1d\x02\x01\x01\x77\x18\x80\x16" + startTLSOID

// The tags that are looked at; others are skipped, since responses may be extended.
const (
	anyTag              = 0 // the zero tag is not LDAP's
	tagInteger          = 0x02
	tagOctetString      = 0x04
	tagEnumerated       = 0x0a
	tagSequence         = 0x30
	tagExtendedResponse = 0x78 // [APPLICATION 24], constructed
	tagResponseName     = 0x8a // [10]
)

func ldap(d *dialogue) error {
	d.greeted = true
	if err := d.say(ldapRequest); err != nil {
		return err
	}
	_, message, err := element(d, tagSequence)
	if err != nil {
		return err
	}
	response, err := parseExtendedResponse(message)
	switch {
	case err != nil:
		return malformed("not an extended response", string(message))
	case response.id == 0 && response.code != 0: // a notice of disconnection (RFC 4511, section 4.4.1)
		return refused(response.words())
	case response.id != 1:
		return malformed("a response to another message", string(message))
	case response.code != 0:
		return refused(response.words())
	case response.name != "" && response.name != startTLSOID:
		return malformed("the response of another operation", response.name)
	}
	return nil
}

// extendedResponse is what is of use of one (RFC 4511, section 4.12).
type extendedResponse struct {
	id, code         int
	diagnostic, name string
}

func (r *extendedResponse) words() string {
	name, ok := ldapResults[r.code]
	if !ok {
		name = fmt.Sprintf("result %d", r.code)
	}
	if r.diagnostic == "" {
		return name
	}
	return name + ": " + r.diagnostic
}

// ldapResults has the codes that a server may well answer with, by their names in RFC 4511, appendix A.
var ldapResults = map[int]string{
	1: "operationsError", 2: "protocolError", 3: "timeLimitExceeded", 7: "authMethodNotSupported", 8: "strongerAuthRequired",
	10: "referral", 11: "adminLimitExceeded", 12: "unavailableCriticalExtension", 13: "confidentialityRequired",
	50: "insufficientAccessRights", 51: "busy", 52: "unavailable", 53: "unwillingToPerform", 80: "other",
}

func parseExtendedResponse(message []byte) (*extendedResponse, error) {
	var r extendedResponse
	outer := bytes.NewReader(message)
	_, id, err := element(outer, tagInteger)
	if err != nil {
		return nil, err
	}
	_, response, err := element(outer, tagExtendedResponse)
	if err != nil {
		return nil, err
	}
	inner := bytes.NewReader(response)
	_, code, err := element(inner, tagEnumerated)
	if err != nil {
		return nil, err
	}
	if _, _, err := element(inner, tagOctetString); err != nil { // matchedDN
		return nil, err
	}
	_, diagnostic, err := element(inner, tagOctetString)
	if err != nil {
		return nil, err
	}
	r.diagnostic = string(diagnostic)
	for inner.Len() > 0 {
		tag, content, err := element(inner, anyTag)
		if err != nil {
			return nil, err
		}
		if tag == tagResponseName {
			r.name = string(content)
		}
	}
	for outer.Len() > 0 { // controls
		if _, _, err := element(outer, anyTag); err != nil {
			return nil, err
		}
	}
	if r.id, err = number(id); err == nil {
		r.code, err = number(code)
	}
	return &r, err
}
