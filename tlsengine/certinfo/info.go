package certinfo

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"errors"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Info is what Read finds in one certificate.
type Info struct {
	Version int // 1 to 3

	// SerialNumber is hexadecimal in lower case, two digits a byte, without the sign octet; negative ones begin with "-".
	SerialNumber string

	Subject, Issuer Name

	SignatureAlgorithmOID    string // dotted
	SignatureAlgorithmParams []byte // DER; nil: absent

	PublicKeyAlgorithmOID string // dotted
	PublicKey             []byte // the content of the BIT STRING, without the count of unused bits
	PublicKeyBits         int    // 0: not known for this algorithm

	IssuerUniqueID, SubjectUniqueID []byte // the content of the BIT STRING; nil: absent
}

var errTBS = errors.New("certinfo: malformed certificate")

// Read describes cert, which must have come from x509.ParseCertificate. What does not decode is an error: a half of a
// description would be taken for the whole.
func Read(cert *x509.Certificate) (*Info, error) {
	info := &Info{Version: cert.Version, SerialNumber: serial(cert), PublicKeyBits: keyBits(cert.PublicKey)}
	if err := info.readCertificate(cert.Raw); err != nil {
		return nil, err
	}
	return info, nil
}

func serial(cert *x509.Certificate) string {
	n := cert.SerialNumber
	if n == nil {
		return ""
	}
	sign, b := "", n.Bytes()
	if n.Sign() < 0 {
		sign = "-"
	}
	if len(b) == 0 {
		b = []byte{0}
	}
	return sign + hex.EncodeToString(b)
}

func keyBits(key any) int {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen()
	case *ecdsa.PublicKey:
		return k.Curve.Params().BitSize
	case ed25519.PublicKey:
		return 8 * len(k)
	}
	return 0
}

// Context tags of TBSCertificate.
var (
	tagVersion   = asn1.Tag(0).ContextSpecific().Constructed()
	tagIssuerID  = asn1.Tag(1).ContextSpecific()
	tagSubjectID = asn1.Tag(2).ContextSpecific()
)

func (info *Info) readCertificate(der []byte) error {
	input := cryptobyte.String(der)
	var cert, tbs, algorithm, spki, issuer, subject cryptobyte.String
	if !input.ReadASN1(&cert, asn1.SEQUENCE) || !input.Empty() ||
		!cert.ReadASN1(&tbs, asn1.SEQUENCE) ||
		!tbs.SkipOptionalASN1(tagVersion) ||
		!tbs.SkipASN1(asn1.INTEGER) ||
		!tbs.ReadASN1(&algorithm, asn1.SEQUENCE) ||
		!tbs.ReadASN1Element(&issuer, asn1.SEQUENCE) ||
		!tbs.SkipASN1(asn1.SEQUENCE) || // validity
		!tbs.ReadASN1Element(&subject, asn1.SEQUENCE) ||
		!tbs.ReadASN1(&spki, asn1.SEQUENCE) {
		return errTBS
	}
	var ok bool
	if info.SignatureAlgorithmOID, ok = readOID(&algorithm); !ok {
		return errTBS
	}
	if !algorithm.Empty() {
		info.SignatureAlgorithmParams = algorithm
	}
	var keyAlgorithm, key cryptobyte.String
	if !spki.ReadASN1(&keyAlgorithm, asn1.SEQUENCE) || !spki.ReadASN1(&key, asn1.BIT_STRING) {
		return errTBS
	}
	if info.PublicKeyAlgorithmOID, ok = readOID(&keyAlgorithm); !ok {
		return errTBS
	}
	if info.PublicKey, ok = bits(key); !ok {
		return errTBS
	}
	if info.IssuerUniqueID, ok = optionalBits(&tbs, tagIssuerID); !ok {
		return errTBS
	}
	if info.SubjectUniqueID, ok = optionalBits(&tbs, tagSubjectID); !ok {
		return errTBS
	}
	var err error
	if info.Issuer, err = ParseName(issuer); err != nil {
		return err
	}
	info.Subject, err = ParseName(subject)
	return err
}

func optionalBits(s *cryptobyte.String, tag asn1.Tag) ([]byte, bool) {
	var content cryptobyte.String
	var present bool
	if !s.ReadOptionalASN1(&content, &present, tag) {
		return nil, false
	}
	if !present {
		return nil, true
	}
	return bits(content)
}

// bits drops the leading count of unused bits (X.690, section 8.6).
func bits(content cryptobyte.String) ([]byte, bool) {
	if len(content) == 0 || content[0] > 7 || len(content) == 1 && content[0] != 0 {
		return nil, false
	}
	return content[1:], true
}
