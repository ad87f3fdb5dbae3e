package revocation

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha1" // RFC 6960 responders sign with it to this day
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/asn1"
	"fmt"
	"hash"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// algorithm is how something is signed. x509 verifies only what is in memory as a whole; a CRL is hashed as it is read.
type algorithm struct {
	hash crypto.Hash // 0: the message itself is verified (Ed25519)
	key  keyKind
}

type keyKind uint8

const (
	rsaPKCS1 keyKind = iota + 1
	rsaPSS
	ecdsaKey
	ed25519Key
)

const oidRSAPSS = "1.2.840.113549.1.1.10"

var algorithms = map[string]algorithm{
	"1.2.840.113549.1.1.5":  {crypto.SHA1, rsaPKCS1},
	"1.2.840.113549.1.1.11": {crypto.SHA256, rsaPKCS1},
	"1.2.840.113549.1.1.12": {crypto.SHA384, rsaPKCS1},
	"1.2.840.113549.1.1.13": {crypto.SHA512, rsaPKCS1},
	"1.2.840.10045.4.1":     {crypto.SHA1, ecdsaKey},
	"1.2.840.10045.4.3.2":   {crypto.SHA256, ecdsaKey},
	"1.2.840.10045.4.3.3":   {crypto.SHA384, ecdsaKey},
	"1.2.840.10045.4.3.4":   {crypto.SHA512, ecdsaKey},
	"1.3.101.112":           {0, ed25519Key},
}

var hashes = map[string]crypto.Hash{
	"1.3.14.3.2.26":          crypto.SHA1,
	"2.16.840.1.101.3.4.2.1": crypto.SHA256,
	"2.16.840.1.101.3.4.2.2": crypto.SHA384,
	"2.16.840.1.101.3.4.2.3": crypto.SHA512,
}

var derNull = []byte{5, 0}

// readAlgorithm reads an AlgorithmIdentifier that fills der.
func readAlgorithm(der cryptobyte.String) (algorithm, error) {
	var content cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !der.ReadASN1(&content, cbasn1.SEQUENCE) || !der.Empty() || !content.ReadASN1ObjectIdentifier(&oid) {
		return algorithm{}, fmt.Errorf("%w: signature algorithm", malformed)
	}
	if oid.String() == oidRSAPSS {
		return readPSS(content)
	}
	alg, ok := algorithms[oid.String()]
	if !ok {
		return algorithm{}, fmt.Errorf("%w: %s", unknownAlgorithm, quote(oid.String()))
	}
	if len(content) != 0 && (alg.key != rsaPKCS1 || !bytes.Equal(content, derNull)) {
		return algorithm{}, fmt.Errorf("%w: signature algorithm", malformed)
	}
	return alg, nil
}

// readPSS takes the parameters of RFC 8017, appendix A.2.3, that are in use: one hash for both, and a salt as long as it.
func readPSS(params cryptobyte.String) (algorithm, error) {
	var content, hashField, mgfField, saltField, mgf, inner cryptobyte.String
	var mgfOID asn1.ObjectIdentifier
	salt := 0
	explicit := func(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific().Constructed() }
	if !params.ReadASN1(&content, cbasn1.SEQUENCE) || !params.Empty() ||
		!content.ReadASN1(&hashField, explicit(0)) || !content.ReadASN1(&mgfField, explicit(1)) ||
		!content.ReadASN1(&saltField, explicit(2)) || !saltField.ReadASN1Integer(&salt) || !saltField.Empty() ||
		!mgfField.ReadASN1(&mgf, cbasn1.SEQUENCE) || !mgfField.Empty() || !mgf.ReadASN1ObjectIdentifier(&mgfOID) ||
		!mgf.ReadASN1Element(&inner, cbasn1.SEQUENCE) || !mgf.Empty() {
		return algorithm{}, fmt.Errorf("%w: RSASSA-PSS parameters", unknownAlgorithm)
	}
	h, ok := readHash(hashField)
	mgfHash, mgfOK := readHash(inner)
	if !ok || !mgfOK || h != mgfHash || h == crypto.SHA1 || salt != h.Size() || mgfOID.String() != "1.2.840.113549.1.1.8" {
		return algorithm{}, fmt.Errorf("%w: RSASSA-PSS parameters", unknownAlgorithm)
	}
	return algorithm{h, rsaPSS}, nil
}

// readHash reads the AlgorithmIdentifier of a hash that fills der.
func readHash(der cryptobyte.String) (crypto.Hash, bool) {
	var content cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !der.ReadASN1(&content, cbasn1.SEQUENCE) || !der.Empty() || !content.ReadASN1ObjectIdentifier(&oid) ||
		len(content) != 0 && !bytes.Equal(content, derNull) {
		return 0, false
	}
	h, ok := hashes[oid.String()]
	return h, ok
}

// maxEd25519 bounds what is kept for Ed25519, which hashes the message after a part of the signature.
const maxEd25519 = 4 << 20

// digest returns what takes the signed bytes, and gives what verify wants in the end.
func (a algorithm) digest() hash.Hash {
	if a.hash == 0 {
		return &wholeMessage{}
	}
	return a.hash.New()
}

// verify is nil when key made the signature over what digest was given.
func (a algorithm) verify(key crypto.PublicKey, digest, signature []byte) error {
	ok := false
	switch k := key.(type) {
	case *rsa.PublicKey:
		switch a.key {
		case rsaPKCS1:
			ok = rsa.VerifyPKCS1v15(k, a.hash, digest, signature) == nil
		case rsaPSS:
			ok = rsa.VerifyPSS(k, a.hash, digest, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}
	case *ecdsa.PublicKey:
		ok = a.key == ecdsaKey && ecdsa.VerifyASN1(k, digest, signature)
	case ed25519.PublicKey:
		ok = a.key == ed25519Key && len(k) == ed25519.PublicKeySize && ed25519.Verify(k, digest, signature)
	}
	if !ok {
		return badSignature
	}
	return nil
}

// wholeMessage is a hash.Hash that hashes nothing.
type wholeMessage struct{ message bytes.Buffer }

func (w *wholeMessage) Write(p []byte) (int, error) {
	if w.message.Len()+len(p) > maxEd25519 {
		return 0, fmt.Errorf("%w: more than %d bytes signed with Ed25519", tooLarge, maxEd25519)
	}
	return w.message.Write(p)
}

func (w *wholeMessage) Sum(b []byte) []byte { return append(b, w.message.Bytes()...) }
func (w *wholeMessage) Reset()              { w.message.Reset() }
func (w *wholeMessage) Size() int           { return w.message.Len() }
func (w *wholeMessage) BlockSize() int      { return 1 }

// readSignature takes the bytes of a BIT STRING that fills content.
func readSignature(content cryptobyte.String) ([]byte, bool) {
	var bits []byte
	ok := content.ReadASN1BitStringAsBytes(&bits) && content.Empty()
	return bits, ok
}
