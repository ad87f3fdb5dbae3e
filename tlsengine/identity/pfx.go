package identity

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
)

// The shapes of RFC 7292, section 4, read as go-pkcs12 reads them, so that both see the same numbers.
type pfx struct {
	Version  int
	AuthSafe contentInfo
	MAC      macData `asn1:"optional"`
}

type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"tag:0,explicit,optional"`
}

type macData struct {
	MAC        digestInfo
	Salt       []byte
	Iterations int `asn1:"optional,default:1"`
}

type digestInfo struct {
	Algorithm pkix.AlgorithmIdentifier
	Digest    []byte
}

type encryptedData struct {
	Version int
	Content struct {
		Type      asn1.ObjectIdentifier
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte `asn1:"tag:0,optional"`
	}
}

type safeBag struct {
	ID         asn1.ObjectIdentifier
	Value      asn1.RawValue `asn1:"tag:0,explicit"`
	Attributes asn1.RawValue `asn1:"optional"`
}

type pbeParams struct {
	Salt       []byte
	Iterations int
}

var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidEncryptedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 6}
	oidKeyBag        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 1}
	oidShroudedBag   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 2}
	oidCertBag       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 3}
	oidPBMAC1        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 14}
	oidHMACSHA256    = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
)

// pbeNames and macNames are what go-pkcs12 can do beside PBES2 and PBMAC1.
var (
	pbeNames = map[string]bool{
		"1.2.840.113549.1.12.1.3": true, // SHA-1 and 3DES
		"1.2.840.113549.1.12.1.5": true, // SHA-1 and RC2, 128 bits
		"1.2.840.113549.1.12.1.6": true, // SHA-1 and RC2, 40 bits
	}
	macNames = map[string]bool{
		"1.3.14.3.2.26":          true, // SHA-1
		"2.16.840.1.101.3.4.2.1": true, // SHA-256
		"2.16.840.1.101.3.4.2.3": true, // SHA-512
	}
)

// maxShroudedBytes bounds an encrypted key in a file, since the numbers in it are computed with as soon as it is decrypted.
// The longest RSA key that is taken has less than 5 KiB.
const maxShroudedBytes = 8 << 10

// authSafe is what a PKCS#12 file shows of itself without a passphrase.
type authSafe struct {
	content   []byte // what the MAC is about; a key in it need not be encrypted, so it is to be cleared
	mac       macData
	parts     []contentInfo
	encrypted []bool // of parts
	cost      int    // iterations, in all
	keys      int    // in the parts that are not encrypted
	certs     bool   // there may be certificates
}

// readPFX reads the shell of the file and refuses it if opening it would cost too much. Errors are *InputError.
func readPFX(der []byte) (_ *authSafe, err error) {
	var p pfx
	if unmarshal(der, &p) != nil || p.Version != 3 {
		return nil, pkcs12Error("is not a PKCS#12 file in DER")
	}
	s := &authSafe{mac: p.MAC}
	defer func() {
		if err != nil {
			clear(s.content)
		}
	}()
	if !p.AuthSafe.Type.Equal(oidData) {
		return nil, pkcs12Error("is protected by a public key, which is not supported")
	}
	if unmarshal(p.AuthSafe.Content.Bytes, &s.content) != nil || unmarshal(s.content, &s.parts) != nil {
		return nil, pkcs12Error("is damaged")
	}
	if len(s.parts) < 1 || len(s.parts) > 2 {
		return nil, pkcs12Error("has a number of parts other than one or two")
	}
	if err := s.readMAC(); err != nil {
		return nil, pkcs12Error(err.Error())
	}
	for _, part := range s.parts {
		if err := s.readPart(part); err != nil {
			if e, ok := errors.AsType[*InputError](err); ok {
				return nil, inPKCS12(e)
			}
			return nil, pkcs12Error(err.Error())
		}
	}
	switch {
	case s.cost > maxIterations:
		return nil, pkcs12Error(errTooCostly.Error())
	case s.keys == 0:
		return nil, pkcs12Error("has no private key, or has it among the encrypted certificates")
	case s.keys > 1:
		return nil, pkcs12Error("holds several keys")
	case !s.certs:
		return nil, pkcs12CertError("has no certificate")
	}
	return s, nil
}

var errMAC = errors.New("has a MAC of a kind that is not supported")

func (s *authSafe) readMAC() error {
	a := s.mac.MAC.Algorithm
	switch {
	case len(a.Algorithm) == 0:
		return nil // only a file without a passphrase is then opened
	case macNames[a.Algorithm.String()]:
		return s.pay(s.mac.Iterations)
	case a.Algorithm.Equal(oidPBMAC1):
		var p pbmac1Params
		if err := unmarshal(a.Parameters.FullBytes, &p); err != nil {
			return err
		}
		if !p.KDF.Algorithm.Equal(oidPBKDF2) || hashes[p.Scheme.Algorithm.String()] == nil {
			return errMAC
		}
		kdf, err := readPBKDF2(p.KDF)
		if err != nil {
			return err
		}
		if kdf.KeyLength < 20 || kdf.KeyLength > 64 { // RFC 9579, section 9, and the longest HMAC
			return errMAC
		}
		return s.pay(kdf.Iterations)
	}
	return errMAC
}

// readPart reads one part as far as it is open. An *InputError is about the key in it.
func (s *authSafe) readPart(part contentInfo) error {
	if part.Type.Equal(oidEncryptedData) {
		var e encryptedData
		if err := unmarshal(part.Content.Bytes, &e); err != nil {
			return err
		}
		s.encrypted, s.certs = append(s.encrypted, true), true
		return s.payFor(e.Content.Algorithm)
	}
	if !part.Type.Equal(oidData) {
		return errUnsupported
	}
	s.encrypted = append(s.encrypted, false)
	var content []byte
	var bags []safeBag
	if err := unmarshal(part.Content.Bytes, &content); err != nil {
		return err
	}
	defer clear(content) // a key in it need not be encrypted
	if err := unmarshal(content, &bags); err != nil {
		return err
	}
	for _, bag := range bags {
		switch {
		case bag.ID.Equal(oidCertBag):
			s.certs = true
		case bag.ID.Equal(oidKeyBag):
			s.keys++
			if err := checkPKCS8(bag.Value.Bytes); err != nil {
				return err
			}
		case bag.ID.Equal(oidShroudedBag):
			s.keys++
			var e encryptedKey
			if err := unmarshal(bag.Value.Bytes, &e); err != nil || len(e.Data) > maxShroudedBytes {
				return errDamaged
			}
			if err := s.payFor(e.Algorithm); err != nil {
				return err
			}
		}
	}
	return nil
}

// payFor adds what deriving the key that a names would cost.
func (s *authSafe) payFor(a pkix.AlgorithmIdentifier) error {
	if pbeNames[a.Algorithm.String()] {
		var p pbeParams
		if err := unmarshal(a.Parameters.FullBytes, &p); err != nil {
			return err
		}
		return s.pay(p.Iterations)
	}
	p, err := readPBES2(a)
	if err != nil {
		return err
	}
	if !p.KDF.Algorithm.Equal(oidPBKDF2) {
		return errUnsupported
	}
	kdf, err := readPBKDF2(p.KDF)
	if err != nil {
		return err
	}
	return s.pay(kdf.Iterations)
}

func (s *authSafe) pay(iterations int) error {
	if iterations < 1 {
		return errDamaged
	}
	if iterations > maxIterations {
		return errTooCostly
	}
	s.cost += iterations
	return nil
}
