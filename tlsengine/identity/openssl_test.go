package identity_test

import (
	"testing"

	"securesocket/tlsengine/identity"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
)

func TestKeysThatOpenSSLWrote(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, id *tlstest.Identity) {
		o := newOpenSSL(t, map[string][]byte{"key": id.KeyPEM()})
		for _, form := range []string{"PEM", "DER"} {
			toPKCS8 := []string{"pkcs8", "-topk8", "-in", "key", "-out", "out", "-outform", form}
			accepted(t, id, identity.KeyPair{Chain: id.Chain, PrivateKey: o.run(append(toPKCS8, "-nocrypt")...)})
			toPKCS8 = append(toPKCS8, "-passout", "pass:sesame")
			for _, more := range [][]string{
				{"-v2", "aes-256-cbc"},
				{"-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA512", "-iter", "10000"},
				{"-v2", "des3", "-v2prf", "hmacWithSHA1"},
				{"-scrypt"},
			} {
				opensOnlyBy(t, id, o.run(append(toPKCS8, more...)...), "sesame")
			}
			if _, _, ok := traditional(t, id.Key); ok {
				key := o.run("pkey", "-in", "key", "-out", "out", "-traditional", "-outform", form)
				accepted(t, id, identity.KeyPair{Chain: id.Chain, PrivateKey: key})
			}
		}
		if _, _, ok := traditional(t, id.Key); ok {
			for _, alg := range []string{"-aes256", "-des3"} {
				key := o.run("pkey", "-in", "key", "-out", "out", "-traditional", alg, "-passout", "pass:sesame")
				require.Contains(t, string(key), "DEK-Info")
				opensOnlyBy(t, id, key, "sesame")
			}
		}
	})
}

func TestKeysThatOpenSSLMakesAndWeRefuse(t *testing.T) {
	t.Parallel()
	id := clientLeaf(t)
	o := newOpenSSL(t, map[string][]byte{"key": id.KeyPEM()})
	for _, args := range [][]string{
		{"genpkey", "-algorithm", "ED448", "-out", "out"},
		{"genpkey", "-algorithm", "X25519", "-out", "out"},
		{"genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "out"},
		{"genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024", "-out", "out"},
		{"genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_keygen_primes:3", "-out", "out"},
		{"ecparam", "-genkey", "-name", "secp256k1", "-out", "out"},
		{"ecparam", "-genkey", "-name", "secp224r1", "-out", "out"},
		{"ecparam", "-genkey", "-name", "prime256v1", "-param_enc", "explicit", "-out", "out"},
		{"pkcs8", "-topk8", "-in", "key", "-v1", "PBE-MD5-DES", "-provider", "legacy", "-provider", "default", "-passout", "pass:sesame", "-out", "out"},
		{"pkey", "-in", "key", "-pubout", "-out", "out"},
	} {
		_, err := identity.FromKeyPair(identity.KeyPair{Chain: id.Chain, PrivateKey: o.run(args...), Passphrase: "sesame"})
		refused(t, err, "private_key", true)
	}
}

func TestPKCS12ThatOpenSSLWrote(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, id *tlstest.Identity) {
		o := newOpenSSL(t, map[string][]byte{"key": id.KeyPEM(),
			"leaf": pemBlock("CERTIFICATE", id.Chain[0]), "rest": pemBlock("CERTIFICATE", id.Chain[1])})
		export := []string{"pkcs12", "-export", "-inkey", "key", "-in", "leaf", "-certfile", "rest", "-out", "out",
			"-name", "name", "-passout", "pass:sesame"}
		for _, more := range [][]string{
			nil,
			{"-macalg", "sha1", "-iter", "1"},
			{"-macalg", "sha512", "-iter", "5000"},
			{"-legacy"},
			{"-legacy", "-descert"},
			{"-certpbe", "NONE"},
			{"-keypbe", "NONE"},
			{"-certpbe", "NONE", "-keypbe", "NONE"},
		} {
			file := o.run(append(export, more...)...)
			accepted(t, id, identity.KeyPair{PKCS12: file, Passphrase: "sesame"})
			_, err := identity.FromKeyPair(identity.KeyPair{PKCS12: file})
			refused(t, err, "passphrase", true)
			_, err = identity.FromKeyPair(identity.KeyPair{PKCS12: file, Passphrase: "Sesame"})
			refused(t, err, "passphrase", true)
		}
		empty := o.run(append(export, "-passout", "pass:")...)
		accepted(t, id, identity.KeyPair{PKCS12: empty})

		_, err := identity.FromKeyPair(identity.KeyPair{PKCS12: o.run(append(export, "-nomac")...), Passphrase: "sesame"})
		refused(t, err, "pkcs12", true)
		_, err = identity.FromKeyPair(identity.KeyPair{PKCS12: o.run(append(export, "-macalg", "md5")...), Passphrase: "sesame"})
		refused(t, err, "pkcs12", true)
		_, err = identity.FromKeyPair(identity.KeyPair{PKCS12: o.run(append(export, "-nokeys")...), Passphrase: "sesame"})
		refused(t, err, "pkcs12", true)
		noCerts := []string{"pkcs12", "-export", "-inkey", "key", "-nocerts", "-out", "out", "-passout", "pass:sesame"}
		_, err = identity.FromKeyPair(identity.KeyPair{PKCS12: o.run(noCerts...), Passphrase: "sesame"})
		refused(t, err, "pkcs12", false)
	})
}
