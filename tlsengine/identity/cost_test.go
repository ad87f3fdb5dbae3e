package identity

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

// The tests of this file would not end if a cost were paid: MaxInt64 iterations take centuries.
const endless = math.MaxInt64

func TestCostIsRefusedBeforeItIsPaid(t *testing.T) {
	t.Parallel()
	leaf, key := testLeaf(t)
	for name, kdf := range map[string]pkix.AlgorithmIdentifier{
		"PBKDF2":                  pbkdf2With(t, endless),
		"PBKDF2, 2^31":            pbkdf2With(t, 1<<31),
		"PBKDF2, one too many":    pbkdf2With(t, maxIterations+1),
		"PBKDF2, none":            pbkdf2With(t, 0),
		"PBKDF2, negative":        pbkdf2With(t, -1),
		"scrypt, N":               scryptWith(t, 1<<30, 8, 1),
		"scrypt, r":               scryptWith(t, 2, 1<<40, 1),
		"scrypt, p":               scryptWith(t, 2, 1, 1<<29),
		"scrypt, one too many":    scryptWith(t, 1<<16, 8, 2),
		"scrypt, overflow":        scryptWith(t, 1<<32, 1<<16, 1<<16),
		"scrypt, not a power":     scryptWith(t, 3, 1, 1),
		"scrypt, N = 1":           scryptWith(t, 1, 1, 1),
		"scrypt, negative":        scryptWith(t, -2, 1, 1),
		"scrypt, negative factor": scryptWith(t, 2, -1, -1),
		"no such derivation":      {Algorithm: asn1.ObjectIdentifier{1, 2, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			der := marshal(t, encryptedKey{pbes2With(t, kdf, make([]byte, 16)), make([]byte, 32)})
			_, err := FromKeyPair(KeyPair{Chain: [][]byte{leaf}, PrivateKey: der, Passphrase: "sesame"})
			requireRefused(t, err, fieldKey)
		})
	}
	for name, e := range map[string]encryptedKey{
		"a short IV":       {pbes2With(t, pbkdf2With(t, 1), make([]byte, 8)), make([]byte, 32)},
		"a broken block":   {pbes2With(t, pbkdf2With(t, 1), make([]byte, 16)), make([]byte, 33)},
		"nothing":          {pbes2With(t, pbkdf2With(t, 1), make([]byte, 16)), nil},
		"encrypted twice":  encrypted(t, marshal(t, encrypted(t, key, 1)), 1),
		"trailing data in": encrypted(t, append(key[:len(key):len(key)], 5, 0), 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := FromKeyPair(KeyPair{Chain: [][]byte{leaf}, PrivateKey: marshal(t, e), Passphrase: "sesame"})
			if name == "trailing data in" {
				requireRefused(t, err, fieldPassphrase)
			} else {
				requireRefused(t, err, fieldKey)
			}
		})
	}
}

func TestCostOfPKCS12IsRefusedBeforeItIsPaid(t *testing.T) {
	t.Parallel()
	leaf, key := testLeaf(t)
	certBag := safeBag{ID: oidCertBag, Value: explicit(marshal(t, struct {
		ID   asn1.ObjectIdentifier
		Data []byte `asn1:"tag:0,explicit"`
	}{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 22, 1}, leaf}))}
	keyBag := func(iterations int) safeBag {
		return safeBag{ID: oidShroudedBag, Value: explicit(marshal(t, encrypted(t, key, iterations)))}
	}
	good, costly := keyBag(1), keyBag(endless)
	for name, tc := range map[string]struct {
		file []byte
		fine bool
	}{
		"nothing costly, certificate first": {file(t, 1, sealed(t, 1, certBag), open(t, good)), true},
		"nothing costly, key first":         {file(t, 1, open(t, good), sealed(t, 1, certBag)), true},
		"nothing encrypted but the key":     {file(t, 1, open(t, good, certBag)), true},
		"the MAC":                           {file(t, endless, sealed(t, 1, certBag), open(t, good)), false},
		"the certificates":                  {file(t, 1, sealed(t, endless, certBag), open(t, good)), false},
		"the key":                           {file(t, 1, sealed(t, 1, certBag), open(t, costly)), false},
		"a second key":                      {file(t, 1, sealed(t, 1, certBag), open(t, good, costly)), false},
		"a hidden key alone":                {file(t, 1, sealed(t, 1, certBag, costly)), false},
		"a hidden key before the open one":  {file(t, 1, sealed(t, 1, costly, certBag), open(t, good)), false},
		"a hidden key after the open one":   {file(t, 1, open(t, good), sealed(t, 1, costly, certBag)), false},
		"a hidden key, and nothing open":    {file(t, 1, sealed(t, 1, certBag), sealed(t, 1, costly)), false},
		"a little everywhere": {file(t, 700_000, sealed(t, 700_000, certBag),
			open(t, keyBag(700_000))), false},
		"three parts": {file(t, 1, sealed(t, 1, certBag), sealed(t, 1, costly), open(t, good)), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i, err := FromKeyPair(KeyPair{PKCS12: tc.file, Passphrase: "sesame"})
			if tc.fine {
				require.NoError(t, err)
				require.Equal(t, leaf, i.Chain()[0].Raw)
				return
			}
			requireRefused(t, err, fieldPKCS12)
		})
	}

	legacy := func(iterations int) pkix.AlgorithmIdentifier {
		return pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 3},
			Parameters: asn1.RawValue{FullBytes: marshal(t, pbeParams{make([]byte, 8), iterations})}}
	}
	costlyLegacy := safeBag{ID: oidShroudedBag, Value: explicit(marshal(t, encryptedKey{legacy(endless), make([]byte, 64)}))}
	var p pfx
	require.NoError(t, unmarshal(file(t, 1, open(t, certBag, costlyLegacy)), &p))
	_, err := FromKeyPair(KeyPair{PKCS12: marshal(t, p), Passphrase: "sesame"})
	requireRefused(t, err, fieldPKCS12)
	for _, iterations := range []int{endless, 0, -5} {
		require.NoError(t, unmarshal(file(t, 1, open(t, certBag, good)), &p))
		p.MAC.MAC.Algorithm = pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}}
		p.MAC.Iterations = iterations
		_, err = FromKeyPair(KeyPair{PKCS12: marshal(t, p), Passphrase: "sesame"})
		requireRefused(t, err, fieldPKCS12)
	}
	// A shorter key would make the MAC easy to guess (RFC 9579, section 9).
	require.NoError(t, unmarshal(file(t, 1, sealed(t, 1, certBag), open(t, good)), &p))
	p.MAC.MAC.Algorithm.Parameters.FullBytes = marshal(t, pbmac1Params{
		KDF: pkix.AlgorithmIdentifier{Algorithm: oidPBKDF2, Parameters: asn1.RawValue{FullBytes: marshal(t, pbkdf2Params{
			Salt: octets(make([]byte, 8)), Iterations: 1, KeyLength: 1})}},
		Scheme: pkix.AlgorithmIdentifier{Algorithm: oidHMACSHA256},
	})
	_, err = FromKeyPair(KeyPair{PKCS12: marshal(t, p), Passphrase: "sesame"})
	requireRefused(t, err, fieldPKCS12)
}

// A MAC that does not fit is found out in either order of the parts.
func TestForgedPKCS12(t *testing.T) {
	t.Parallel()
	leaf, key := testLeaf(t)
	certBag := safeBag{ID: oidCertBag, Value: explicit(marshal(t, struct {
		ID   asn1.ObjectIdentifier
		Data []byte `asn1:"tag:0,explicit"`
	}{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 22, 1}, leaf}))}
	keyPart := open(t, safeBag{ID: oidKeyBag, Value: explicit(key)})
	for _, parts := range [][]contentInfo{{keyPart, sealed(t, 1, certBag)}, {sealed(t, 1, certBag), keyPart}} {
		var p pfx
		require.NoError(t, unmarshal(file(t, 1, parts...), &p))
		p.MAC.MAC.Digest[0] ^= 1
		_, err := FromKeyPair(KeyPair{PKCS12: marshal(t, p), Passphrase: "sesame"})
		requireRefused(t, err, fieldPassphrase)
	}
}

func requireRefused(t *testing.T, err error, field string) {
	t.Helper()
	var input *InputError
	require.ErrorAs(t, err, &input)
	require.Equal(t, field, input.Field, input.Why)
	require.True(t, input.Key, input.Why)
}

func testLeaf(t *testing.T) (leaf, pkcs8 []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	leaf, err = x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	pkcs8, err = x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return leaf, pkcs8
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	der, err := asn1.Marshal(v)
	require.NoError(t, err)
	return der
}

func octets(b []byte) asn1.RawValue { return asn1.RawValue{Tag: asn1.TagOctetString, Bytes: b} }

func explicit(der []byte) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: der}
}

func pbkdf2With(t *testing.T, iterations int) pkix.AlgorithmIdentifier {
	t.Helper()
	return pkix.AlgorithmIdentifier{Algorithm: oidPBKDF2, Parameters: asn1.RawValue{FullBytes: marshal(t, pbkdf2Params{
		Salt: octets(make([]byte, 8)), Iterations: iterations, PRF: pkix.AlgorithmIdentifier{Algorithm: oidHMACSHA256}})}}
}

func scryptWith(t *testing.T, n, r, p int64) pkix.AlgorithmIdentifier {
	t.Helper()
	return pkix.AlgorithmIdentifier{Algorithm: oidScrypt, Parameters: asn1.RawValue{FullBytes: marshal(t,
		scryptParams{Salt: make([]byte, 8), N: n, R: r, P: p})}}
}

func pbes2With(t *testing.T, kdf pkix.AlgorithmIdentifier, iv []byte) pkix.AlgorithmIdentifier {
	t.Helper()
	return pkix.AlgorithmIdentifier{Algorithm: oidPBES2, Parameters: asn1.RawValue{FullBytes: marshal(t, pbes2Params{
		KDF: kdf, Scheme: pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42},
			Parameters: asn1.RawValue{FullBytes: marshal(t, iv)}}})}}
}

// encrypted names the iterations, and is decrypted by one.
func encrypted(t *testing.T, plain []byte, iterations int) encryptedKey {
	t.Helper()
	key, err := derive(pbkdf2With(t, 1), "sesame", 32)
	require.NoError(t, err)
	block, err := aes.NewCipher(key)
	require.NoError(t, err)
	padding := aes.BlockSize - len(plain)%aes.BlockSize
	padded := append([]byte(nil), plain...)
	for range padding {
		padded = append(padded, byte(padding))
	}
	iv := make([]byte, aes.BlockSize)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(padded, padded)
	return encryptedKey{pbes2With(t, pbkdf2With(t, iterations), iv), padded}
}

// open and sealed are the two kinds of parts.
func open(t *testing.T, bags ...safeBag) contentInfo {
	t.Helper()
	return contentInfo{Type: oidData, Content: explicit(marshal(t, marshal(t, asBags(bags))))}
}

func sealed(t *testing.T, iterations int, bags ...safeBag) contentInfo {
	t.Helper()
	e := encrypted(t, marshal(t, asBags(bags)), iterations)
	var d encryptedData
	d.Content.Type, d.Content.Algorithm, d.Content.Data = oidData, e.Algorithm, e.Data
	return contentInfo{Type: oidEncryptedData, Content: explicit(marshal(t, d))}
}

type bareBag struct {
	ID    asn1.ObjectIdentifier
	Value asn1.RawValue
}

func asBags(bags []safeBag) []bareBag {
	var out []bareBag
	for _, bag := range bags {
		out = append(out, bareBag{bag.ID, bag.Value})
	}
	return out
}

// file puts the parts into one, with a MAC that names the iterations and is made by one.
func file(t *testing.T, iterations int, parts ...contentInfo) []byte {
	t.Helper()
	content := marshal(t, parts)
	mac, err := newPBMAC1(content, "sesame")
	require.NoError(t, err)
	if iterations != 1 {
		mac.MAC.Algorithm.Parameters.FullBytes = marshal(t, pbmac1Params{
			KDF: pkix.AlgorithmIdentifier{Algorithm: oidPBKDF2, Parameters: asn1.RawValue{FullBytes: marshal(t, pbkdf2Params{
				Salt: octets(make([]byte, 8)), Iterations: iterations, KeyLength: 32})}},
			Scheme: pkix.AlgorithmIdentifier{Algorithm: oidHMACSHA256},
		})
	}
	return marshal(t, pfx{Version: 3, MAC: mac, AuthSafe: contentInfo{Type: oidData, Content: explicit(marshal(t, content))}})
}
