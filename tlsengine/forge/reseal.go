package forge

import (
	"crypto"
	_ "crypto/md5" //nolint:gosec // a flaw on offer
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"
)

// tbsCertificate is what an authority signs (RFC 5280, section 4.1), with all that no edit wants left raw.
type tbsCertificate struct {
	Raw                asn1.RawContent
	Version            int `asn1:"optional,explicit,default:0,tag:0"`
	SerialNumber       *big.Int
	SignatureAlgorithm pkix.AlgorithmIdentifier
	Issuer             asn1.RawValue
	Validity           asn1.RawValue
	Subject            asn1.RawValue
	PublicKey          asn1.RawValue
	UniqueID           asn1.BitString   `asn1:"optional,tag:1"`
	SubjectUniqueID    asn1.BitString   `asn1:"optional,tag:2"`
	Extensions         []pkix.Extension `asn1:"omitempty,optional,explicit,tag:3"`
}

type sealedCertificate struct {
	TBS                tbsCertificate
	SignatureAlgorithm pkix.AlgorithmIdentifier
	Signature          asn1.BitString
}

// hashOf are the algorithms that are signed anew, each with its hash; Ed25519 has none of its own to choose.
var hashOf = map[x509.SignatureAlgorithm]crypto.Hash{
	x509.SHA1WithRSA: crypto.SHA1, x509.SHA256WithRSA: crypto.SHA256, x509.SHA384WithRSA: crypto.SHA384,
	x509.SHA512WithRSA: crypto.SHA512, x509.ECDSAWithSHA1: crypto.SHA1, x509.ECDSAWithSHA256: crypto.SHA256,
	x509.ECDSAWithSHA384: crypto.SHA384, x509.ECDSAWithSHA512: crypto.SHA512, x509.PureEd25519: 0,
}

// reseal edits a certificate that crypto/x509 has made and signs it again, so that it has the flaw and a signature that
// verifies. hash is that of the signature; 0 is the one that its algorithm has.
func reseal(der []byte, edits []func(*tbsCertificate), hash crypto.Hash, signer crypto.Signer) ([]byte, error) {
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	var c sealedCertificate
	if _, err := asn1.Unmarshal(der, &c); err != nil {
		return nil, err
	}
	c.TBS.Raw = nil // it would be written as it was
	for _, edit := range edits {
		edit(&c.TBS)
	}
	if hash == 0 {
		known := false
		if hash, known = hashOf[parsed.SignatureAlgorithm]; !known {
			return nil, fmt.Errorf("an edited certificate cannot be signed with %v", parsed.SignatureAlgorithm)
		}
	}
	c.SignatureAlgorithm = c.TBS.SignatureAlgorithm
	tbs, err := asn1.Marshal(c.TBS)
	if err != nil {
		return nil, err
	}
	c.TBS = tbsCertificate{Raw: tbs}
	signature, err := crypto.SignMessage(signer, rand.Reader, tbs, hash)
	if err != nil {
		return nil, err
	}
	c.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	return asn1.Marshal(c)
}

// MD5 signs the certificate with MD5WithRSA, which crypto/x509 refuses to make. The issuer needs an RSA key.
func MD5() Option {
	return func(t *template) {
		t.cert.SignatureAlgorithm = x509.SHA256WithRSA // crypto/x509 refuses other keys
		t.hash = crypto.MD5
		t.edits = append(t.edits, func(tbs *tbsCertificate) {
			tbs.SignatureAlgorithm.Algorithm = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 4}
		})
	}
}

// Version1 makes a certificate of X.509 version 1: without any extension, and so without names.
func Version1() Option {
	return func(t *template) {
		t.edits = append(t.edits, func(tbs *tbsCertificate) { tbs.Version, tbs.Extensions = 0, nil })
	}
}

// DuplicateExtension repeats an extension, which RFC 5280, section 4.2 forbids; crypto/x509 does not parse it.
func DuplicateExtension() Option {
	return func(t *template) {
		t.unparsable = true
		t.edits = append(t.edits, func(tbs *tbsCertificate) {
			tbs.Extensions = append(slices.Clone(tbs.Extensions), tbs.Extensions[0])
		})
	}
}

// NegativeSerial gives a serial number below zero, which RFC 5280, section 4.1.2.2 forbids; crypto/x509 does not parse it.
func NegativeSerial() Option {
	return func(t *template) {
		t.unparsable = true
		t.edits = append(t.edits, func(tbs *tbsCertificate) { tbs.SerialNumber = new(big.Int).Neg(tbs.SerialNumber) })
	}
}
