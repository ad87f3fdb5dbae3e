package identity_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"testing"

	"securesocket/tlsengine/identity"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
	"software.sslmate.com/src/go-pkcs12"
)

// Whoever hands a key over may clear it at once: an identity keeps nothing of what it was made from. Nor is anything of it
// modified.
func TestWhatWasHandedOverMayBeCleared(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, id *tlstest.Identity) {
		der := pkcs8DER(t, id.Key)
		pairs := map[string]identity.KeyPair{
			"DER": {Chain: id.Chain, PrivateKey: der},
			"PEM": {Chain: id.Chain, PrivateKey: pemBlock("PRIVATE KEY", der)},
		}
		if der, label, ok := traditional(t, id.Key); ok {
			pairs[label] = identity.KeyPair{Chain: id.Chain, PrivateKey: der}
		}
		for name, encoder := range encoders {
			file, err := encoder.Encode(id.Key, id.Leaf, parsed(t, id.Chain[1:]), "sesame")
			require.NoError(t, err)
			pairs[name] = identity.KeyPair{PKCS12: file, Passphrase: "sesame"}
		}
		file, err := pkcs12.Passwordless.Encode(id.Key, id.Leaf, parsed(t, id.Chain[1:]), "")
		require.NoError(t, err)
		pairs["PKCS#12, nothing encrypted"] = identity.KeyPair{PKCS12: file}
		for name, kp := range pairs {
			before := identity.KeyPair{PrivateKey: bytes.Clone(kp.PrivateKey), PKCS12: bytes.Clone(kp.PKCS12)}
			i := accepted(t, id, kp)
			require.Equal(t, before.PrivateKey, kp.PrivateKey, name)
			require.Equal(t, before.PKCS12, kp.PKCS12, name)
			clear(kp.PrivateKey)
			clear(kp.PKCS12)
			for n, cert := range i.Chain() {
				require.Equal(t, id.Chain[n], cert.Raw, name)
			}
			signs(t, i)
		}
	})
}

// signs requires that the identity's key makes a signature of its leaf's.
func signs(t *testing.T, i *identity.Identity) {
	t.Helper()
	cert, err := identity.SelectServer(t.Context(), []*identity.Identity{i}, nil, &tls.ClientHelloInfo{})
	require.NoError(t, err)
	key, ok := cert.PrivateKey.(crypto.Signer)
	require.True(t, ok)
	message := []byte("message")
	input, hash, algorithm := message, crypto.Hash(0), x509.PureEd25519
	switch key.Public().(type) {
	case *rsa.PublicKey:
		hash, algorithm = crypto.SHA256, x509.SHA256WithRSA
	case *ecdsa.PublicKey:
		hash, algorithm = crypto.SHA256, x509.ECDSAWithSHA256
	}
	if hash != 0 {
		sum := sha256.Sum256(message)
		input = sum[:]
	}
	signature, err := key.Sign(rand.Reader, input, hash)
	require.NoError(t, err)
	require.NoError(t, i.Chain()[0].CheckSignature(algorithm, message, signature))
}
