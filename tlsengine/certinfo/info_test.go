package certinfo_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"securesocket/tlsengine/certinfo"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

func TestRead(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		key       tlstest.Option
		algorithm string
		bits      int
	}{
		"RSA":     {tlstest.RSA(2048), "1.2.840.113549.1.1.1", 2048},
		"ECDSA":   {tlstest.ECDSA(elliptic.P521()), "1.2.840.10045.2.1", 521},
		"Ed25519": {tlstest.Ed25519(), "1.3.101.112", 256},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cert := tlstest.NewCA(t, tlstest.RSA(2048)).Leaf(tc.key, tlstest.CommonName("leaf")).Leaf
			info, err := certinfo.Read(cert)
			require.NoError(t, err)
			require.Equal(t, 3, info.Version)
			require.Equal(t, "leaf", info.Subject.CommonName)
			require.Equal(t, "Test Root", info.Issuer.CommonName)
			require.Equal(t, cert.RawSubject, info.Subject.DER)
			require.Equal(t, tc.algorithm, info.PublicKeyAlgorithmOID)
			require.Equal(t, tc.bits, info.PublicKeyBits)
			require.Equal(t, "1.2.840.113549.1.1.11", info.SignatureAlgorithmOID)
			require.Equal(t, []byte{5, 0}, info.SignatureAlgorithmParams)
			require.Nil(t, info.IssuerUniqueID)

			var spki struct {
				Algorithm pkix.AlgorithmIdentifier
				Key       asn1.BitString
			}
			_, err = asn1.Unmarshal(cert.RawSubjectPublicKeyInfo, &spki)
			require.NoError(t, err)
			require.Equal(t, spki.Key.Bytes, info.PublicKey)
		})
	}
}

func TestSerialNumber(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	for hex, want := range map[string]string{"1": "01", "80": "80", "abc": "0abc", "ff00ff00ff00ff00ff00": "ff00ff00ff00ff00ff00"} {
		n, _ := new(big.Int).SetString(hex, 16)
		template := &x509.Certificate{SerialNumber: n, NotAfter: time.Now()}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		require.NoError(t, err)
		cert, err := x509.ParseCertificate(der)
		require.NoError(t, err)
		info, err := certinfo.Read(cert)
		require.NoError(t, err)
		require.Equal(t, want, info.SerialNumber)
	}
}

// Go cannot make unique identifiers: the test puts them into a certificate, whose signature it breaks by that.
func TestUniqueIDs(t *testing.T) {
	t.Parallel()
	der := tlstest.NewCA(t).DER()
	input := cryptobyte.String(der)
	var cert, tbs cryptobyte.String
	require.True(t, input.ReadASN1(&cert, cbasn1.SEQUENCE) && cert.ReadASN1(&tbs, cbasn1.SEQUENCE))
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for range 7 { // version to subjectPublicKeyInfo
				var element cryptobyte.String
				var tag cbasn1.Tag
				require.True(t, tbs.ReadAnyASN1Element(&element, &tag))
				b.AddBytes(element)
			}
			b.AddASN1(cbasn1.Tag(1).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes([]byte{0, 0xaa}) })
			b.AddASN1(cbasn1.Tag(2).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes([]byte{4, 0xb0}) })
			b.AddBytes(tbs)
		})
		b.AddBytes(cert)
	})
	parsed, err := x509.ParseCertificate(b.BytesOrPanic())
	require.NoError(t, err)
	info, err := certinfo.Read(parsed)
	require.NoError(t, err)
	require.Equal(t, []byte{0xaa}, info.IssuerUniqueID)
	require.Equal(t, []byte{0xb0}, info.SubjectUniqueID)
}
