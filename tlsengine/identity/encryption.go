package identity

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"hash"

	"golang.org/x/crypto/scrypt"
)

// Bounds on the cost that an encrypted key may name.
const (
	maxIterations  = 2_000_000 // in all, of PBKDF2 or PKCS#12's own derivation
	maxScryptBytes = 64 << 20  // 128 * N * r * p, which bounds memory and time
)

var (
	errTooCostly   = errors.New("asks for more work to be decrypted than is allowed: encrypt it with fewer iterations")
	errUnsupported = errors.New("is encrypted in a way that is not supported: use PBES2 with PBKDF2 or scrypt, and AES-CBC")
	errDamaged     = errors.New("is damaged")
	errWrongKey    = errors.New("does not decrypt")
)

var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidScrypt = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}
)

// pbes2Params, pbkdf2Params: RFC 8018, appendices A.4 and A.2.
type pbes2Params struct {
	KDF    pkix.AlgorithmIdentifier
	Scheme pkix.AlgorithmIdentifier
}

type pbkdf2Params struct {
	Salt       asn1.RawValue // a CHOICE, of which only the octets are in use
	Iterations int
	KeyLength  int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
}

// scryptParams: RFC 7914, section 7.
type scryptParams struct {
	Salt      []byte
	N, R, P   int64
	KeyLength int `asn1:"optional"`
}

// hashes by the OID of their HMAC. The empty one is the default.
var hashes = map[string]func() hash.Hash{
	"":                    sha1.New,
	"1.2.840.113549.2.7":  sha1.New,
	"1.2.840.113549.2.8":  sha256.New224,
	"1.2.840.113549.2.9":  sha256.New,
	"1.2.840.113549.2.10": sha512.New384,
	"1.2.840.113549.2.11": sha512.New,
}

type blockCipher struct {
	keySize int
	new     func(key []byte) (cipher.Block, error)
}

// ciphers, each in CBC, by OID.
var ciphers = map[string]blockCipher{
	"2.16.840.1.101.3.4.1.2":  {16, aes.NewCipher},
	"2.16.840.1.101.3.4.1.22": {24, aes.NewCipher},
	"2.16.840.1.101.3.4.1.42": {32, aes.NewCipher},
	"1.2.840.113549.3.7":      {24, des.NewTripleDESCipher},
}

// readPBES2 reads the parameters of PBES2 and refuses what would cost too much.
func readPBES2(a pkix.AlgorithmIdentifier) (pbes2Params, error) {
	var p pbes2Params
	if !a.Algorithm.Equal(oidPBES2) {
		return p, errUnsupported
	}
	return p, unmarshal(a.Parameters.FullBytes, &p)
}

func readPBKDF2(a pkix.AlgorithmIdentifier) (pbkdf2Params, error) {
	var p pbkdf2Params
	if err := unmarshal(a.Parameters.FullBytes, &p); err != nil {
		return p, err
	}
	if p.Salt.Class != asn1.ClassUniversal || p.Salt.Tag != asn1.TagOctetString || p.Salt.IsCompound || p.Iterations < 1 {
		return p, errDamaged
	}
	if p.Iterations > maxIterations {
		return p, errTooCostly
	}
	return p, nil
}

// derive makes the key of keySize bytes that a names for the passphrase, if it is not too costly.
func derive(a pkix.AlgorithmIdentifier, passphrase string, keySize int) ([]byte, error) {
	switch {
	case a.Algorithm.Equal(oidPBKDF2):
		p, err := readPBKDF2(a)
		if err != nil {
			return nil, err
		}
		h := hashes[p.PRF.Algorithm.String()]
		if h == nil {
			return nil, errUnsupported
		}
		if p.KeyLength != 0 && p.KeyLength != keySize {
			return nil, errDamaged
		}
		return pbkdf2.Key(h, passphrase, p.Salt.Bytes, p.Iterations, keySize)
	case a.Algorithm.Equal(oidScrypt):
		var p scryptParams
		if err := unmarshal(a.Parameters.FullBytes, &p); err != nil {
			return nil, err
		}
		if p.N < 2 || p.N&(p.N-1) != 0 || p.R < 1 || p.P < 1 || p.KeyLength != 0 && p.KeyLength != keySize {
			return nil, errDamaged
		}
		// By division: the product may not fit.
		if p.N > maxScryptBytes/128 || p.R > maxScryptBytes/128/p.N || p.P > maxScryptBytes/128/p.N/p.R {
			return nil, errTooCostly
		}
		password := []byte(passphrase)
		defer clear(password)
		return scrypt.Key(password, p.Salt, int(p.N), int(p.R), int(p.P), keySize)
	}
	return nil, errUnsupported
}

// decrypt undoes PBES2 (RFC 8018, section 6.2). The plain text is the caller's to clear.
func decrypt(a pkix.AlgorithmIdentifier, data []byte, passphrase string) ([]byte, error) {
	p, err := readPBES2(a)
	if err != nil {
		return nil, err
	}
	c, ok := ciphers[p.Scheme.Algorithm.String()]
	if !ok {
		return nil, errUnsupported
	}
	var iv []byte
	if err := unmarshal(p.Scheme.Parameters.FullBytes, &iv); err != nil {
		return nil, err
	}
	key, err := derive(p.KDF, passphrase, c.keySize)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	block, err := c.new(key)
	if err != nil {
		return nil, errUnsupported // 3DES under a policy that forbids it
	}
	size := block.BlockSize()
	if len(iv) != size || len(data) == 0 || len(data)%size != 0 {
		return nil, errDamaged
	}
	plain := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, data)
	padding := int(plain[len(plain)-1])
	if padding < 1 || padding > size {
		clear(plain)
		return nil, errWrongKey
	}
	for _, b := range plain[len(plain)-padding:] {
		if int(b) != padding {
			clear(plain)
			return nil, errWrongKey
		}
	}
	return plain[:len(plain)-padding], nil
}

// unmarshal reads exactly one element.
func unmarshal(der []byte, into any) error {
	if rest, err := asn1.Unmarshal(der, into); err != nil || len(rest) > 0 {
		return errDamaged // the library's text may quote what it read
	}
	return nil
}
