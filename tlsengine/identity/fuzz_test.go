package identity_test

import (
	"crypto"
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"securesocket/tlsengine/identity"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
	"github.com/youmark/pkcs8"
	"software.sslmate.com/src/go-pkcs12"
)

// FuzzKeyPair: nothing crashes; no key is taken that its leaf does not have; no error shows anything of the key, the file
// or the passphrase.
func FuzzKeyPair(f *testing.F) {
	texts := sources(f)
	for _, kind := range []tlstest.Option{tlstest.Ed25519(), keyKinds["P-256"]} {
		id := clientLeaf(f, kind)
		leaf, key := id.Chain[0], pkcs8DER(f, id.Key)
		f.Add(leaf, key, "", []byte(nil))
		f.Add(leaf, id.KeyPEM(), "", []byte(nil))
		f.Add(pemBlock("CERTIFICATE", leaf), id.KeyPEM(), "sesame street", []byte(nil))
		f.Add(key, leaf, "", []byte(nil))
		for _, kdf := range []pkcs8.KDFOpts{
			pkcs8.PBKDF2Opts{SaltSize: 8, IterationCount: 1, HMACHash: crypto.SHA256},
			pkcs8.ScryptOpts{SaltSize: 8, CostParameter: 2, BlockSize: 1, ParallelizationParameter: 1},
		} {
			der, err := pkcs8.MarshalPrivateKey(id.Key, []byte("sesame street"), &pkcs8.Opts{Cipher: pkcs8.AES128CBC, KDFOpts: kdf})
			require.NoError(f, err)
			f.Add(leaf, der, "sesame street", []byte(nil))
		}
		if der, pemType, ok := traditional(f, id.Key); ok {
			f.Add(leaf, der, "", []byte(nil))
			f.Add(leaf, pemBlock(pemType, der), "", []byte(nil))
		}
		for _, encoder := range encoders {
			file, err := encoder.WithIterations(1).Encode(id.Key, id.Leaf, nil, "sesame street")
			require.NoError(f, err)
			f.Add([]byte(nil), []byte(nil), "sesame street", file)
		}
		file, err := pkcs12.Passwordless.Encode(id.Key, id.Leaf, nil, "")
		require.NoError(f, err)
		f.Add([]byte(nil), []byte(nil), "", file)
	}
	f.Fuzz(func(t *testing.T, leaf, key []byte, passphrase string, file []byte) {
		kp := identity.KeyPair{PrivateKey: key, Passphrase: passphrase, PKCS12: file}
		if len(leaf) > 0 {
			kp.Chain = [][]byte{leaf}
		}
		pair, pairErr := identity.FromKeyPair(kp)
		operators, pemErr := identity.FromPEM("ref", leaf, key, passphrase)
		_, callerErr := identity.FromCaller(kp.Chain, nil)
		for _, err := range []error{pairErr, pemErr, callerErr} {
			if err != nil {
				requireHarmless(t, texts, err, key, []byte(passphrase), file)
			}
		}
		for _, i := range []*identity.Identity{pair, operators} {
			if i != nil {
				requireFits(t, i)
			}
		}
	})
}

// sources is the text of the package: what stands there is no secret, even if a passphrase says the same.
func sources(f *testing.F) string {
	f.Helper()
	names, err := filepath.Glob("*.go")
	require.NoError(f, err)
	var all strings.Builder
	for _, name := range names {
		if !strings.HasSuffix(name, "_test.go") {
			text, err := os.ReadFile(name)
			require.NoError(f, err)
			all.Write(text)
		}
	}
	return all.String()
}

func requireHarmless(t *testing.T, texts string, err error, secrets ...[]byte) {
	t.Helper()
	var input *identity.InputError
	require.ErrorAs(t, err, &input)
	require.Contains(t, []string{"certificate_chain", "private_key", "passphrase", "pkcs12"}, input.Field)
	text := err.Error()
	_, reason, _ := strings.Cut(text, " cannot be parsed: ") // x509's own words, of letters alone
	for run := range tracesOf(text, secrets...) {
		if !strings.Contains(texts, run) && !strings.Contains(reason, run) {
			require.Fail(t, "a secret shows", "%q in %q", run, text)
		}
	}
}

// requireFits requires that a handshake is given a key with the leaf's public half.
func requireFits(t *testing.T, i *identity.Identity) {
	t.Helper()
	cert, err := identity.Select(t.Context(), []*identity.Identity{i}, nil, &tls.CertificateRequestInfo{
		Version: tls.VersionTLS13, SignatureSchemes: []tls.SignatureScheme{tls.Ed25519, tls.PSSWithSHA256,
			tls.ECDSAWithP256AndSHA256, tls.ECDSAWithP384AndSHA384, tls.ECDSAWithP521AndSHA512},
	})
	require.NoError(t, err)
	require.NotEmpty(t, cert.Certificate)
	own, ok := cert.PrivateKey.(crypto.Signer).Public().(interface{ Equal(crypto.PublicKey) bool })
	require.True(t, ok)
	require.True(t, own.Equal(i.Chain()[0].PublicKey))
}
