package identity_test

import (
	"crypto/x509"
	"testing"

	"securesocket/tlsengine/identity"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
	"software.sslmate.com/src/go-pkcs12"
)

var encoders = map[string]*pkcs12.Encoder{
	"modern 2023": pkcs12.Modern2023, "modern 2026": pkcs12.Modern2026,
	"legacy DES": pkcs12.LegacyDES, "legacy RC2": pkcs12.LegacyRC2,
}

func TestPKCS12(t *testing.T) {
	t.Parallel()
	for name, encoder := range encoders {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id := clientLeaf(t)
			file, err := encoder.Encode(id.Key, id.Leaf, parsed(t, id.Chain[1:]), "sésame")
			require.NoError(t, err)
			accepted(t, id, identity.KeyPair{PKCS12: file, Passphrase: "sésame"})
			_, none := identity.FromKeyPair(identity.KeyPair{PKCS12: file})
			refused(t, none, "passphrase", true)
			_, wrong := identity.FromKeyPair(identity.KeyPair{PKCS12: file, Passphrase: "sesame"})
			refused(t, wrong, "passphrase", true)
			require.NotEqual(t, none, wrong)
		})
	}
}

func TestPKCS12WithoutPassphrase(t *testing.T) {
	t.Parallel()
	id := clientLeaf(t)
	file, err := pkcs12.Passwordless.Encode(id.Key, id.Leaf, parsed(t, id.Chain[1:]), "")
	require.NoError(t, err)
	accepted(t, id, identity.KeyPair{PKCS12: file})
	_, err = identity.FromKeyPair(identity.KeyPair{PKCS12: file, Passphrase: "sesame"})
	refused(t, err, "pkcs12", true)
}

// The file keeps certificates in no order; the key says which is the leaf.
func TestPKCS12IsPutInOrder(t *testing.T) {
	t.Parallel()
	root := tlstest.NewCA(t)
	lower := root.Intermediate(tlstest.CommonName("Upper")).Intermediate(tlstest.CommonName("Lower"))
	id := lower.Leaf()
	certs := parsed(t, id.Chain)
	require.Len(t, certs, 3)
	stranger := tlstest.SelfSigned(t)
	file, err := pkcs12.Modern.Encode(id.Key, certs[2], []*x509.Certificate{stranger.Leaf, certs[0], certs[1]}, "sesame")
	require.NoError(t, err)
	id.Append(stranger.Leaf.Raw)
	accepted(t, id, identity.KeyPair{PKCS12: file, Passphrase: "sesame"})
}

func TestPKCS12Refused(t *testing.T) {
	t.Parallel()
	id, other, weak := clientLeaf(t), clientLeaf(t), clientLeaf(t, tlstest.RSA(1024))
	encode := func(key any, leaf *x509.Certificate, more ...*x509.Certificate) []byte {
		file, err := pkcs12.Modern.Encode(key, leaf, more, "sesame")
		require.NoError(t, err)
		return file
	}
	good := encode(id.Key, id.Leaf)
	many := make([]*x509.Certificate, 16)
	for n := range many {
		many[n] = other.Leaf
	}
	damaged := append([]byte(nil), good...)
	damaged[len(damaged)/2] ^= 1
	trust, err := pkcs12.Modern.EncodeTrustStore([]*x509.Certificate{id.Leaf}, "sesame")
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		file []byte
		key  bool
	}{
		"the key of another": {encode(other.Key, id.Leaf), true},
		"a weak key":         {encode(weak.Key, weak.Leaf), true},
		"no key":             {trust, true},
		"a long chain":       {encode(id.Key, id.Leaf, many...), false},
		"trailing data":      {append(good[:len(good):len(good)], 0), true},
		"cut":                {good[:len(good)-1], true},
		"PEM":                {pemBlock("PKCS12", good), true},
		"a certificate":      {id.Chain[0], true},
		"too long":           {make([]byte, 1<<20), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := identity.FromKeyPair(identity.KeyPair{PKCS12: tc.file, Passphrase: "sesame"})
			refused(t, err, "pkcs12", tc.key)
		})
	}
	_, err = identity.FromKeyPair(identity.KeyPair{PKCS12: damaged, Passphrase: "sesame"})
	refused(t, err, "passphrase", true) // the MAC does not fit either way
	_, err = identity.FromKeyPair(identity.KeyPair{PKCS12: good, Passphrase: "\U0001f511"})
	refused(t, err, "passphrase", true)
	_, err = identity.FromKeyPair(identity.KeyPair{PKCS12: good, Passphrase: "sesame", Chain: id.Chain})
	refused(t, err, "pkcs12", false)
	_, err = identity.FromKeyPair(identity.KeyPair{PKCS12: good, Passphrase: "sesame", PrivateKey: id.KeyPEM()})
	refused(t, err, "pkcs12", false)
}

func parsed(t *testing.T, chain [][]byte) []*x509.Certificate {
	t.Helper()
	var certs []*x509.Certificate
	for _, der := range chain {
		cert, err := x509.ParseCertificate(der)
		require.NoError(t, err)
		certs = append(certs, cert)
	}
	return certs
}
