package identity_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"

	"securesocket/tlsengine/identity"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
)

func TestChainsRefused(t *testing.T) {
	t.Parallel()
	id := clientLeaf(t)
	weak := clientLeaf(t, tlstest.RSA(1024))
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	padded := clientLeaf(t, tlstest.Padding(70<<10))
	leaf := id.Chain[0]
	for name, chain := range map[string][][]byte{
		"none":              nil,
		"an empty one":      {nil},
		"PEM":               {pemBlock("CERTIFICATE", leaf)},
		"a key":             {pkcs8DER(t, id.Key)},
		"garbage":           {leaf, []byte("garbage")},
		"two in one":        {append(leaf[:len(leaf):len(leaf)], leaf...)},
		"cut":               {leaf[:len(leaf)-1]},
		"seventeen":         slicesOf(17, leaf),
		"more than 128 KiB": {padded.Chain[0], padded.Chain[0]},
		"a weak RSA leaf":   weak.Chain,
		"a leaf on P-224":   selfSigned(t, p224),
		"a DSA leaf":        {dsaCertificate(t, leaf)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := identity.FromCaller(chain, nil)
			refused(t, err, "certificate_chain", false)
			if !strings.HasPrefix(name, "a weak") && !strings.HasPrefix(name, "a leaf") {
				_, err = identity.FromKeyPair(identity.KeyPair{Chain: chain, PrivateKey: id.KeyPEM()})
				refused(t, err, "certificate_chain", false)
			}
		})
	}
}

func TestKeysRefused(t *testing.T) {
	t.Parallel()
	id, other := clientLeaf(t), clientLeaf(t)
	der := pkcs8DER(t, id.Key)
	sec1, _, _ := traditional(t, id.Key)
	weak := clientLeaf(t, tlstest.RSA(1024))
	strong := clientLeaf(t, tlstest.RSA(2048)).Key.(*rsa.PrivateKey)
	keyPEM := id.KeyPEM()
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for name, key := range map[string][]byte{
		"none":                          nil,
		"garbage":                       []byte("garbage"),
		"of another leaf":               other.KeyPEM(),
		"of another kind":               pkcs8DER(t, strong),
		"trailing data, PKCS#8":         join(der, []byte{0}),
		"trailing data, SEC 1":          join(sec1, sec1),
		"trailing data, PKCS#1":         join(x509.MarshalPKCS1PrivateKey(strong), []byte{5, 0}),
		"trailing data, in PEM":         pemBlock("PRIVATE KEY", join(der, []byte{0})),
		"trailing text":                 join(keyPEM, []byte("and more")),
		"two keys":                      join(keyPEM, keyPEM),
		"a damaged block and a key":     join([]byte("-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n"), keyPEM),
		"a certificate":                 pemBlock("CERTIFICATE", id.Chain[0]),
		"a certificate and a key":       join(pemBlock("CERTIFICATE", id.Chain[0]), keyPEM),
		"a certificate in DER":          id.Chain[0],
		"parameters alone":              pemBlock("EC PARAMETERS", []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7}),
		"OpenSSH's":                     pemBlock("OPENSSH PRIVATE KEY", []byte("openssh-key-v1\x00")),
		"something else":                pemBlock("AGE ENCRYPTED FILE", []byte("x")),
		"weak RSA":                      weak.KeyPEM(),
		"weak RSA in PKCS#1":            x509.MarshalPKCS1PrivateKey(weak.Key.(*rsa.PrivateKey)),
		"RSA with a huge modulus":       hugeRSA(t, 0),
		"RSA with a huge prime":         hugeRSA(t, 4),
		"DSA":                           dsaKey(t),
		"too long":                      make([]byte, 65<<10),
		"unknown mode of encrypted PEM": []byte("-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: ROT13,00\n\nAAAA\n-----END EC PRIVATE KEY-----\n"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := identity.FromKeyPair(identity.KeyPair{Chain: id.Chain, PrivateKey: key, Passphrase: "sesame"})
			refused(t, err, "private_key", true)
		})
	}
	_, err := identity.FromKeyPair(identity.KeyPair{Chain: id.Chain, PrivateKey: keyPEM, Passphrase: strings.Repeat("x", 1025)})
	refused(t, err, "passphrase", true)
}

func TestSchemesRefused(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, id *tlstest.Identity) {
		fitting := map[x509.PublicKeyAlgorithm][]uint16{
			x509.RSA:     {0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601},
			x509.ECDSA:   {0x0403, 0x0503, 0x0603},
			x509.Ed25519: {0x0807},
		}
		for kind, schemes := range fitting {
			for _, scheme := range schemes {
				_, err := identity.FromCaller(id.Chain, []uint16{scheme})
				if kind == id.Leaf.PublicKeyAlgorithm {
					require.NoError(t, err)
				} else {
					refused(t, err, "signature_schemes", true)
				}
			}
		}
		for _, scheme := range []uint16{0, 0x0201, 0x0203, 0x0808, 0x0809, 0xffff} {
			_, err := identity.FromCaller(id.Chain, []uint16{scheme})
			refused(t, err, "signature_schemes", true)
		}
	})
}

func slicesOf(n int, der []byte) [][]byte {
	chain := make([][]byte, n)
	for i := range chain {
		chain[i] = der
	}
	return chain
}

func selfSigned(t *testing.T, key *ecdsa.PrivateKey) [][]byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return [][]byte{der}
}

// dsaCertificate is an ECDSA leaf that says its key is of another algorithm.
func dsaCertificate(t *testing.T, leaf []byte) []byte {
	t.Helper()
	ec, err := asn1.Marshal(asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1})
	require.NoError(t, err)
	require.Equal(t, 1, bytes.Count(leaf, ec))
	unknown := bytes.Clone(ec)
	unknown[len(unknown)-1] = 99
	return bytes.Replace(leaf, ec, unknown, 1)
}

// hugeRSA is a PKCS#1 key whose nth number after the version is too long to compute with.
func hugeRSA(t *testing.T, n int) []byte {
	t.Helper()
	numbers := make([]*big.Int, 9)
	numbers[0] = new(big.Int)
	for i := range numbers[1:] {
		numbers[1+i] = new(big.Int).SetBit(big.NewInt(1), 2047, 1)
	}
	numbers[1+n] = new(big.Int).SetBit(big.NewInt(1), 400_000, 1)
	der, err := asn1.Marshal(numbers)
	require.NoError(t, err)
	return der
}

func dsaKey(t *testing.T) []byte {
	t.Helper()
	der, err := asn1.Marshal([]int{0, 23, 11, 4, 8, 3})
	require.NoError(t, err)
	return der
}
