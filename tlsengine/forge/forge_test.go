package forge_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"

	"securesocket/tlsengine/forge"
)

func root(t *testing.T, opts ...forge.Option) *forge.CA {
	t.Helper()
	ca, err := forge.NewCA(opts...)
	require.NoError(t, err)
	return ca
}

func below(t *testing.T, ca *forge.CA, opts ...forge.Option) *forge.CA {
	t.Helper()
	inter, err := ca.Intermediate(opts...)
	require.NoError(t, err)
	return inter
}

func leaf(t *testing.T, ca *forge.CA, opts ...forge.Option) *forge.Identity {
	t.Helper()
	id, err := ca.Leaf(opts...)
	require.NoError(t, err)
	return id
}

func verify(ca *forge.CA, chain ...*x509.Certificate) error {
	pool := x509.NewCertPool()
	for _, cert := range chain[1:] {
		pool.AddCert(cert)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: ca.Pool(), Intermediates: pool, DNSName: "localhost"})
	return err
}

func TestFlawlessByDefault(t *testing.T) {
	t.Parallel()
	ca := root(t)
	inter := below(t, ca)
	id := leaf(t, inter)
	require.NoError(t, verify(ca, id.Leaf, inter.Certificate))
	require.Equal(t, [][]byte{id.Leaf.Raw, inter.Certificate.Raw}, id.Chain)
	require.Equal(t, ca, inter.Root())
	require.NotEqual(t, id.Leaf.SerialNumber, leaf(t, inter).Leaf.SerialNumber)

	key, err := id.KeyPEM()
	require.NoError(t, err)
	_, err = tls.X509KeyPair(id.ChainPEM(), key)
	require.NoError(t, err)
	block, _ := pem.Decode(ca.PEM())
	require.Equal(t, ca.DER(), block.Bytes)

	self, err := forge.SelfSigned()
	require.NoError(t, err)
	require.NoError(t, self.Leaf.CheckSignature(self.Leaf.SignatureAlgorithm, self.Leaf.RawTBSCertificate, self.Leaf.Signature))
}

func TestCrossSignedLeadsToTheOtherRoot(t *testing.T) {
	t.Parallel()
	old, young := root(t), root(t, forge.CommonName("Young"))
	inter := below(t, young)
	cross, err := old.CrossSign(young)
	require.NoError(t, err)
	require.NoError(t, verify(old, leaf(t, inter).Leaf, inter.Certificate, cross.Certificate))
	require.Equal(t, [][]byte{inter.Certificate.Raw}, inter.AsLeaf().Chain)
}

// An edited certificate has its flaw, and a signature by which it is its issuer's.
func TestEdits(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	for name, ca := range map[string]*forge.CA{
		"ECDSA": root(t), "P-384": root(t, forge.ECDSA(elliptic.P384())), "Ed25519": root(t, forge.Ed25519()),
		"RSA": root(t, forge.Key(key)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old := leaf(t, ca, forge.Version1()).Leaf
			require.Equal(t, 1, old.Version)
			require.Empty(t, old.Extensions)
			require.NoError(t, ca.Certificate.CheckSignature(old.SignatureAlgorithm, old.RawTBSCertificate, old.Signature))

			for _, opt := range []forge.Option{forge.DuplicateExtension(), forge.NegativeSerial()} {
				id := leaf(t, ca, opt)
				require.Nil(t, id.Leaf)
				require.Len(t, id.Chain, 1)
				_, err := x509.ParseCertificate(id.Chain[0])
				require.Error(t, err)
			}
		})
	}
	md5 := leaf(t, root(t, forge.Key(key)), forge.MD5()).Leaf
	require.Equal(t, x509.MD5WithRSA, md5.SignatureAlgorithm)
	digest := crypto.MD5.New()
	digest.Write(md5.RawTBSCertificate)
	require.NoError(t, rsa.VerifyPKCS1v15(&key.PublicKey, crypto.MD5, digest.Sum(nil), md5.Signature))
}

func TestFlaws(t *testing.T) {
	t.Parallel()
	ca := root(t)
	other, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	id := leaf(t, ca, forge.PublicKey(other.Public()))
	require.True(t, other.PublicKey.Equal(id.Leaf.PublicKey))
	require.False(t, other.PublicKey.Equal(id.Key.Public()))

	spoiled := leaf(t, ca, forge.BadSignature()).Leaf
	require.Error(t, spoiled.CheckSignatureFrom(ca.Certificate))
	sha1 := leaf(t, ca, forge.SignatureAlgorithm(x509.ECDSAWithSHA1)).Leaf
	require.Equal(t, x509.ECDSAWithSHA1, sha1.SignatureAlgorithm)

	c := leaf(t, ca, forge.Names("uri:spiffe://a/b", "192.0.2.1", "a.example"), forge.MustStaple(), forge.ActsAsCA(),
		forge.CRLDistributionPoint("http://a.example/crl"), forge.OCSPServer("http://a.example/ocsp"),
		forge.IssuerURL("http://a.example/ca"), forge.CriticalExtension(), forge.Organization("A")).Leaf
	require.Equal(t, []string{"a.example"}, c.DNSNames)
	require.Len(t, c.IPAddresses, 1)
	require.Equal(t, "spiffe://a/b", c.URIs[0].String())
	require.Equal(t, []string{"http://a.example/crl"}, c.CRLDistributionPoints)
	require.Equal(t, []string{"http://a.example/ocsp"}, c.OCSPServer)
	require.Equal(t, []string{"http://a.example/ca"}, c.IssuingCertificateURL)
	require.Equal(t, []string{"A"}, c.Subject.Organization)
	require.Len(t, c.UnhandledCriticalExtensions, 1)
	require.True(t, c.IsCA)
	staple := 0
	for _, e := range c.Extensions {
		if e.Id.String() == "1.3.6.1.5.5.7.1.24" {
			staple++
		}
	}
	require.Equal(t, 1, staple)
	require.Greater(t, len(leaf(t, ca, forge.Padding(10<<10)).Leaf.Raw), 10<<10)

	limited := below(t, ca, forge.ExcludedDNS("localhost"))
	require.Error(t, verify(ca, leaf(t, limited).Leaf, limited.Certificate))
	limited = below(t, ca, forge.PermittedDNS("localhost"))
	require.NoError(t, verify(ca, leaf(t, limited).Leaf, limited.Certificate))
}

func TestMistakesAreErrors(t *testing.T) {
	t.Parallel()
	ca := root(t)
	for name, opt := range map[string]forge.Option{
		"a URI that is none":            forge.Names("uri:%zz"),
		"an algorithm of another key":   forge.SignatureAlgorithm(x509.SHA256WithRSA),
		"MD5 without an RSA key":        forge.MD5(),
		"a key that Go does not make":   forge.RSA(512),
		"a public key of no known kind": forge.PublicKey("no key"),
	} {
		_, err := ca.Leaf(opt)
		require.Error(t, err, name)
		_, err = ca.Intermediate(opt)
		require.Error(t, err, name)
	}
}

func TestRevocation(t *testing.T) {
	t.Parallel()
	ca := root(t)
	good, bad := leaf(t, ca), leaf(t, ca)
	der, err := ca.CRL(forge.List{Revoked: []*x509.Certificate{bad.Leaf}})
	require.NoError(t, err)
	list, err := x509.ParseRevocationList(der)
	require.NoError(t, err)
	require.NoError(t, list.CheckSignatureFrom(ca.Certificate))
	require.Len(t, list.RevokedCertificateEntries, 1)
	require.Zero(t, list.RevokedCertificateEntries[0].SerialNumber.Cmp(bad.Leaf.SerialNumber))
	require.True(t, list.ThisUpdate.Before(time.Now()))
	require.True(t, list.NextUpdate.After(time.Now()))

	responder := leaf(t, ca, forge.ExtKeyUsage(x509.ExtKeyUsageOCSPSigning))
	for _, a := range []forge.Answer{
		{Serial: good.Leaf.SerialNumber},
		{Serial: bad.Leaf.SerialNumber, Status: ocsp.Revoked, Hash: crypto.SHA256},
		{Serial: big.NewInt(1), Status: ocsp.Unknown, Signer: responder},
	} {
		der, err := ca.OCSP(a)
		require.NoError(t, err)
		answer, err := ocsp.ParseResponse(der, ca.Certificate)
		require.NoError(t, err)
		require.Equal(t, a.Status, answer.Status)
		require.Zero(t, answer.SerialNumber.Cmp(a.Serial))
		require.Equal(t, a.Signer != nil, answer.Certificate != nil)
	}
	_, err = ca.CRL(forge.List{ThisUpdate: time.Now(), NextUpdate: time.Now().Add(-time.Hour)})
	require.Error(t, err, "a list that ends before it begins")
}
