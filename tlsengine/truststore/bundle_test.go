package truststore_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"

	"securesocket/tlsengine/tlstest"
	"securesocket/tlsengine/truststore"

	"github.com/stretchr/testify/require"
)

// refused asserts that the bundle is refused because of certificate index, and that the error is short.
func refused(t *testing.T, bundle []byte, index int) *truststore.BundleError {
	t.Helper()
	certs, err := truststore.ParseBundle(bundle)
	var bad *truststore.BundleError
	require.ErrorAs(t, err, &bad)
	require.Empty(t, certs)
	require.Equal(t, index, bad.Index, bad.Why)
	require.Less(t, len(bad.Error()), 300)
	return bad
}

func raws(certs []*x509.Certificate) (out [][]byte) {
	for _, cert := range certs {
		out = append(out, cert.Raw)
	}
	return out
}

func TestBundleForms(t *testing.T) {
	t.Parallel()
	a, b := tlstest.NewCA(t), tlstest.NewCA(t)
	want := [][]byte{a.DER(), b.DER()}
	crlf := bytes.ReplaceAll(slices.Concat(a.PEM(), b.PEM()), []byte("\n"), []byte("\r\n"))
	commented := append([]byte("# "), bytes.ReplaceAll(bytes.TrimSpace(tlstest.NewCA(t).PEM()), []byte("\n"), []byte("\n# "))...)
	for name, bundle := range map[string][]byte{
		"PEM":             slices.Concat(a.PEM(), b.PEM()),
		"PEM, CRLF":       crlf,
		"PEM, a mark":     slices.Concat([]byte("\xef\xbb\xbf"), a.PEM(), b.PEM()),
		"PEM, text":       slices.Concat([]byte(" 0 s:CN=one\n0 as in DER\n"), a.PEM(), []byte("subject=/CN=two\n\n"), b.PEM(), []byte("end")),
		"PEM, comment":    slices.Concat(a.PEM(), commented, []byte("\n"), b.PEM()),
		"PEM, doubles":    slices.Concat(a.PEM(), b.PEM(), a.PEM()),
		"DER":             slices.Concat(a.DER(), b.DER()),
		"DER, duplicates": slices.Concat(a.DER(), a.DER(), b.DER()),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			certs, err := truststore.ParseBundle(bundle)
			require.NoError(t, err)
			clear(bundle) // nothing of it may be in use
			require.Equal(t, want, raws(certs))
		})
	}
}

func TestBundleRefused(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	block := func(pemType string, der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der})
	}
	for name, tc := range map[string]struct {
		bundle []byte
		index  int
	}{
		"nothing":            {nil, -1},
		"only text":          {[]byte("no certificate here\n"), -1},
		"indented PEM":       {append([]byte("  "), ca.PEM()...), -1},
		"a CRL":              {append(ca.PEM(), block("X509 CRL", []byte{0x30, 0})...), -1},
		"a PKCS #7 block":    {block("PKCS7", []byte{0x30, 0}), -1},
		"too long":           {make([]byte, truststore.MaxBundleBytes+1), -1},
		"PEM headers":        {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Headers: map[string]string{"A": "b"}, Bytes: ca.DER()}), 0},
		"bad base64":         {append(ca.PEM(), bytes.Replace(ca.PEM(), []byte("MII"), []byte("M!I"), 1)...), 1},
		"bad base64, then":   {slices.Concat(bytes.Replace(ca.PEM(), []byte("MII"), []byte("M!I"), 1), ca.PEM()), 0},
		"no end":             {append(ca.PEM(), ca.PEM()[:200]...), 1},
		"no DER inside":      {append(ca.PEM(), block("CERTIFICATE", []byte("hello"))...), 1},
		"two in one block":   {block("CERTIFICATE", append(ca.DER(), ca.DER()...)), 0},
		"DER, cut":           {append(ca.DER(), ca.DER()[:100]...), 1},
		"DER, text behind":   {append(ca.DER(), "\n"...), 1},
		"DER, not a cert":    {append(ca.DER(), 0x30, 0x81, 1, 0), 1},
		"BER, no length":     {[]byte{0x30, 0x80, 0, 0}, 0},
		"a large one":        {append(ca.DER(), tlstest.NewCA(t, tlstest.Padding(truststore.MaxCertificateBytes)).DER()...), 1},
		"too many, doubles":  {bytes.Repeat(ca.DER(), truststore.MaxBundleCertificates+1), -1},
		"an RSA key too big": {append(ca.PEM(), block("CERTIFICATE", withRSAKey(t, truststore.MaxRSABits+8))...), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refused(t, tc.bundle, tc.index)
		})
	}

	t.Run("at the bounds", func(t *testing.T) {
		t.Parallel()
		certs, err := truststore.ParseBundle(bytes.Repeat(ca.DER(), truststore.MaxBundleCertificates))
		require.NoError(t, err)
		require.Len(t, certs, 1)
		certs, err = truststore.ParseBundle(block("CERTIFICATE", withRSAKey(t, truststore.MaxRSABits)))
		require.NoError(t, err)
		require.Len(t, certs, 1)
	})
}

// withRSAKey makes a certificate for a key of that size, which nobody has: only its size matters.
func withRSAKey(t *testing.T, bits uint) []byte {
	t.Helper()
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	ca := tlstest.NewCA(t)
	key := &rsa.PublicKey{N: n.Add(n, big.NewInt(1)), E: 65537}
	der, err := x509.CreateCertificate(rand.Reader, ca.Certificate, ca.Certificate, key, ca.Key)
	require.NoError(t, err)
	return der
}

// A private key is refused in every form, whole or damaged, and nothing of it comes back.
func TestBundlePrivateKey(t *testing.T) {
	t.Parallel()
	id := tlstest.NewCA(t).Leaf()
	key := id.Key.(*ecdsa.PrivateKey)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	sec1, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	rsa8, err := x509.MarshalPKCS8PrivateKey(rsaKey)
	require.NoError(t, err)
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: id.Chain[0]})
	encrypted, err := asn1.Marshal(struct {
		Algorithm struct{ ID asn1.ObjectIdentifier }
		Data      []byte
	}{struct{ ID asn1.ObjectIdentifier }{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}}, make([]byte, 200)})
	require.NoError(t, err)
	for name, bundle := range map[string][]byte{
		"PEM":                append(cert, id.KeyPEM()...),
		"PEM, damaged":       append(cert, bytes.Replace(id.KeyPEM(), []byte("\nM"), []byte("\n!"), 1)...),
		"PEM, indented":      append(cert, bytes.ReplaceAll(id.KeyPEM(), []byte("-----B"), []byte(" -----B"))...),
		"under another name": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pkcs8}),
		"OpenSSH":            []byte("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"),
		"PKCS #8":            pkcs8,
		"PKCS #8, RSA":       rsa8,
		"PKCS #8 encrypted":  encrypted,
		"SEC 1":              pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: sec1}),
		"PKCS #1":            x509.MarshalPKCS1PrivateKey(rsaKey),
		"behind DER":         append(slices.Clone(id.Chain[0]), rsa8...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad := refused(t, bundle, -1)
			require.Contains(t, bad.Why, "private key")
		})
	}
}

// What crypto/x509 says can quote the certificate; what we say does not.
func TestBundleErrorQuotesNothing(t *testing.T) {
	t.Parallel()
	der := tlstest.NewCA(t).Leaf(tlstest.Names("uri:http://quoted.example/")).Leaf.Raw
	spoiled := bytes.Replace(der, []byte("http://quoted.example/"), []byte("http://quoted example/"), 1)
	_, err := x509.ParseCertificate(spoiled)
	require.ErrorContains(t, err, "quoted", "the test needs an error that quotes")
	require.NotContains(t, refused(t, spoiled, 0).Error(), "quoted")
	unknown := []byte("-----BEGIN TOP SECRET-----\n-----END TOP SECRET-----\n")
	require.NotContains(t, refused(t, unknown, -1).Error(), "TOP")
}

func FuzzParseBundle(f *testing.F) {
	ca := tlstest.NewCA(f)
	f.Add(ca.PEM())
	f.Add(ca.DER())
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"))
	f.Add([]byte("-----BEGIN EC PRIVATE KEY-----\n"))
	f.Add([]byte{0x30, 0x81, 3, 2, 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		certs, err := truststore.ParseBundle(b)
		if err != nil {
			var bad *truststore.BundleError
			require.ErrorAs(t, err, &bad)
			require.Empty(t, certs)
			require.Less(t, len(bad.Error()), 300)
			require.NotContains(t, strings.ToLower(bad.Why), "\n")
			return
		}
		require.NotEmpty(t, certs)
		seen := map[[sha256.Size]byte]bool{}
		var again []byte
		for _, cert := range certs {
			require.False(t, seen[sha256.Sum256(cert.Raw)])
			seen[sha256.Sum256(cert.Raw)] = true
			again = append(again, cert.Raw...)
		}
		round, err := truststore.ParseBundle(again)
		require.NoError(t, err)
		require.Equal(t, raws(certs), raws(round))
	})
}
