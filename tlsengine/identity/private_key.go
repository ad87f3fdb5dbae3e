package identity

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"strconv"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// parsePrivateKey reads the one key that data holds, DER or PEM, and opens it where it is encrypted.
func parsePrivateKey(data []byte, passphrase string) (crypto.Signer, error) {
	if len(data) == 0 {
		return nil, keyError("there is no private key")
	}
	if len(data) > maxKeyBytes {
		return nil, keyError("is longer than " + strconv.Itoa(maxKeyBytes) + " bytes")
	}
	if isPEM(data) {
		return parsePEMKey(data, passphrase)
	}
	kind, rest := sniff(data)
	switch {
	case kind != unknownContainer && len(rest) > 0:
		return nil, keyError("has other bytes after the key")
	case kind == containerEncryptedPKCS8:
		return openPKCS8(data, passphrase)
	}
	return parsePlainKey(data)
}

// parsePlainKey reads one key in DER that is not encrypted.
func parsePlainKey(der []byte) (crypto.Signer, error) {
	kind, rest := sniff(der)
	if kind != unknownContainer && len(rest) > 0 {
		return nil, keyError("has other bytes after the key")
	}
	var key any
	var err error
	switch kind {
	case containerPKCS8:
		if err := checkPKCS8(der); err != nil {
			return nil, err
		}
		key, err = x509.ParsePKCS8PrivateKey(der)
	case containerPKCS1:
		if err := checkPKCS1(der); err != nil {
			return nil, err
		}
		key, err = x509.ParsePKCS1PrivateKey(der)
	case containerSEC1:
		key, err = x509.ParseECPrivateKey(der)
	case containerDSA:
		return nil, keyError("is a DSA key: use RSA, ECDSA or Ed25519")
	case containerEncryptedPKCS8:
		return nil, keyError("is encrypted twice")
	default:
		return nil, keyError("is not a private key in PKCS#8, PKCS#1 or SEC 1, in DER or PEM")
	}
	if err != nil {
		return nil, keyError("is damaged, or on a curve other than P-256, P-384 and P-521") // err may quote the key
	}
	return signer(key)
}

// signer takes only a key that is good for TLS.
func signer(key any) (crypto.Signer, error) {
	s, ok := key.(crypto.Signer)
	if !ok {
		return nil, keyError("is not a key that can sign")
	}
	if why := unfit(s.Public()); why != "" {
		return nil, keyError("is " + why)
	}
	return s, nil
}

var (
	oidRSA = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidEC  = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
	oidEd  = asn1.ObjectIdentifier{1, 3, 101, 112}
)

// refusedAlgorithms are those that people do have, by name.
var refusedAlgorithms = map[string]string{
	"1.2.840.10040.4.1":     "is a DSA key",
	"1.2.840.113549.1.1.10": "is an RSA key for PSS alone (id-RSASSA-PSS)",
	"1.3.101.110":           "is an X25519 key, which cannot sign",
	"1.3.101.111":           "is an X448 key, which cannot sign",
	"1.3.101.113":           "is an Ed448 key",
}

// checkPKCS8 refuses, before anything is computed, what x509 would take or would not name (RFC 5958, section 2).
func checkPKCS8(der []byte) error {
	var (
		body, algorithm, inner cryptobyte.String
		version                int
		oid                    asn1.ObjectIdentifier
	)
	s := cryptobyte.String(der)
	if !s.ReadASN1(&body, cbasn1.SEQUENCE) || !body.ReadASN1Integer(&version) ||
		!body.ReadASN1(&algorithm, cbasn1.SEQUENCE) || !algorithm.ReadASN1ObjectIdentifier(&oid) ||
		!body.ReadASN1(&inner, cbasn1.OCTET_STRING) {
		return keyError("is damaged")
	}
	switch {
	case oid.Equal(oidRSA):
		return checkPKCS1(inner)
	case oid.Equal(oidEC), oid.Equal(oidEd):
		var element cryptobyte.String
		var tag cbasn1.Tag
		if !inner.ReadAnyASN1(&element, &tag) || !inner.Empty() {
			return keyError("has other bytes after the key")
		}
		return nil
	}
	if why, ok := refusedAlgorithms[oid.String()]; ok {
		return keyError(why + ": use RSA, ECDSA or Ed25519")
	}
	return keyError("is of a kind that is not supported: use RSA, ECDSA or Ed25519")
}

// checkPKCS1 bounds the numbers of an RSA key (RFC 8017, section A.1.2): x509 computes with them before anybody could ask
// how long they are.
func checkPKCS1(der []byte) error {
	var body cryptobyte.String
	var version int
	s := cryptobyte.String(der)
	if !s.ReadASN1(&body, cbasn1.SEQUENCE) || !s.Empty() || !body.ReadASN1Integer(&version) {
		return keyError("is damaged")
	}
	if version != 0 {
		return keyError("is an RSA key with more than two primes")
	}
	for n := 0; !body.Empty(); n++ {
		number := new(big.Int)
		if !body.ReadASN1Integer(number) {
			return keyError("is damaged")
		}
		bits := number.BitLen()
		clear(number.Bits())
		if n == 0 {
			if why := unfitRSA(bits); why != "" {
				return keyError("is " + why)
			}
		}
		if bits > maxRSABits {
			return keyError("is an RSA key with numbers that are too long")
		}
	}
	return nil
}
