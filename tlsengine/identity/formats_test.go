package identity_test

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"testing"

	"securesocket/tlsengine/identity"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
	"github.com/youmark/pkcs8"
)

func TestPlainKeys(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, id *tlstest.Identity) {
		der := pkcs8DER(t, id.Key)
		accepted(t, id, identity.KeyPair{Chain: id.Chain, PrivateKey: der})
		accepted(t, id, identity.KeyPair{Chain: id.Chain, PrivateKey: der, Passphrase: "not needed"})
		text := append([]byte("Bag Attributes\n    localKeyID: 01\n"), pemBlock("PRIVATE KEY", der)...)
		accepted(t, id, identity.KeyPair{Chain: id.Chain, PrivateKey: append(text, "\r\n\n"...)})
		if der, pemType, ok := traditional(t, id.Key); ok {
			accepted(t, id, identity.KeyPair{Chain: id.Chain, PrivateKey: der})
			accepted(t, id, identity.KeyPair{Chain: id.Chain, PrivateKey: pemBlock(pemType, der)})
		}
	})
}

func TestEncryptedPKCS8(t *testing.T) {
	t.Parallel()
	pbkdf := func(h crypto.Hash) pkcs8.KDFOpts {
		return pkcs8.PBKDF2Opts{SaltSize: 8, IterationCount: 2048, HMACHash: h}
	}
	for name, opts := range map[string]*pkcs8.Opts{
		"AES-128, SHA-1":   {Cipher: pkcs8.AES128CBC, KDFOpts: pbkdf(crypto.SHA1)},
		"AES-256, SHA-256": {Cipher: pkcs8.AES256CBC, KDFOpts: pbkdf(crypto.SHA256)},
		"3DES":             {Cipher: pkcs8.TripleDESCBC, KDFOpts: pbkdf(crypto.SHA256)},
		"AES-192, scrypt":  {Cipher: pkcs8.AES192CBC, KDFOpts: pkcs8.ScryptOpts{SaltSize: 8, CostParameter: 1 << 10, BlockSize: 8, ParallelizationParameter: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id := clientLeaf(t)
			der, err := pkcs8.MarshalPrivateKey(id.Key, []byte("sesame"), opts)
			require.NoError(t, err)
			for _, key := range [][]byte{der, pemBlock("ENCRYPTED PRIVATE KEY", der)} {
				opensOnlyBy(t, id, key, "sesame")
			}
		})
	}
}

func TestEncryptedPEM(t *testing.T) {
	t.Parallel()
	id := clientLeaf(t)
	der, pemType, _ := traditional(t, id.Key)
	for name, alg := range map[string]x509.PEMCipher{"DES": x509.PEMCipherDES, "3DES": x509.PEMCipher3DES, "AES-256": x509.PEMCipherAES256} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			block, err := x509.EncryptPEMBlock(rand.Reader, pemType, der, []byte("sesame"), alg) //nolint:staticcheck // what old tools wrote
			require.NoError(t, err)
			opensOnlyBy(t, id, pem.EncodeToMemory(block), "sesame")
		})
	}
}

// opensOnlyBy requires that the passphrase opens the key, and that none and a wrong one are told apart.
func opensOnlyBy(t *testing.T, id *tlstest.Identity, key []byte, passphrase string) {
	t.Helper()
	accepted(t, id, identity.KeyPair{Chain: id.Chain, PrivateKey: key, Passphrase: passphrase})
	_, none := identity.FromKeyPair(identity.KeyPair{Chain: id.Chain, PrivateKey: key})
	refused(t, none, "passphrase", true)
	_, wrong := identity.FromKeyPair(identity.KeyPair{Chain: id.Chain, PrivateKey: key, Passphrase: passphrase + "x"})
	refused(t, wrong, "passphrase", true)
	require.NotEqual(t, none, wrong)
}

func TestWrongPassphraseIsAlwaysToldAsOne(t *testing.T) {
	t.Parallel()
	id := clientLeaf(t)
	opts := &pkcs8.Opts{Cipher: pkcs8.AES256CBC, KDFOpts: pkcs8.PBKDF2Opts{SaltSize: 8, IterationCount: 1, HMACHash: crypto.SHA256}}
	encrypted, err := pkcs8.MarshalPrivateKey(id.Key, []byte("sesame"), opts)
	require.NoError(t, err)
	der, pemType, _ := traditional(t, id.Key)
	block, err := x509.EncryptPEMBlock(rand.Reader, pemType, der, []byte("sesame"), x509.PEMCipherAES128) //nolint:staticcheck // what old tools wrote
	require.NoError(t, err)
	// The padding fits by chance for one wrong passphrase in 256.
	for n := range 600 {
		for _, key := range [][]byte{encrypted, pem.EncodeToMemory(block)} {
			_, err := identity.FromKeyPair(identity.KeyPair{Chain: id.Chain, PrivateKey: key, Passphrase: string(rune('0' + n))})
			refused(t, err, "passphrase", true)
		}
	}
}

func TestCurveParametersBesideAKeyAreNoKey(t *testing.T) {
	t.Parallel()
	id := clientLeaf(t)
	der, pemType, _ := traditional(t, id.Key)
	params := pemBlock("EC PARAMETERS", []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7})
	accepted(t, id, identity.KeyPair{Chain: id.Chain, PrivateKey: append(params, pemBlock(pemType, der)...)})
}

func TestOperatorsIdentity(t *testing.T) {
	t.Parallel()
	id := clientLeaf(t)
	var chain []byte
	for _, der := range id.Chain {
		chain = append(chain, "subject=whatever\n"...)
		chain = append(chain, pemBlock("CERTIFICATE", der)...)
	}
	got, err := identity.FromPEM("billing", chain, id.KeyPEM(), "")
	require.NoError(t, err)
	require.Equal(t, "billing", got.Ref())
	require.Len(t, got.Chain(), 2)
	require.False(t, got.CallerHeld())

	_, err = identity.FromPEM("", chain, id.KeyPEM(), "")
	refused(t, err, "identity_ref", false)
	_, err = identity.FromPEM("billing", append(chain, id.KeyPEM()...), id.KeyPEM(), "")
	refused(t, err, "certificate_chain", false)
	_, err = identity.FromPEM("billing", id.Chain[0], id.KeyPEM(), "")
	refused(t, err, "certificate_chain", false)
	_, err = identity.FromPEM("billing", chain[:len(chain)-30], id.KeyPEM(), "")
	refused(t, err, "certificate_chain", false)
	_, err = identity.FromPEM("billing", make([]byte, 1<<20), id.KeyPEM(), "")
	refused(t, err, "certificate_chain", false)
	_, err = identity.FromPEM("billing", chain, chain, "")
	refused(t, err, "private_key", true)
}

func TestEqualComparesWhatIsShown(t *testing.T) {
	t.Parallel()
	id, other := clientLeaf(t), clientLeaf(t)
	pair := accepted(t, id, identity.KeyPair{Chain: id.Chain, PrivateKey: pkcs8DER(t, id.Key)})
	again := accepted(t, id, identity.KeyPair{Chain: id.Chain, PrivateKey: id.KeyPEM()})
	short, err := identity.FromKeyPair(identity.KeyPair{Chain: id.Chain[:1], PrivateKey: id.KeyPEM()})
	require.NoError(t, err)
	caller, err := identity.FromCaller(id.Chain, nil)
	require.NoError(t, err)
	limited, err := identity.FromCaller(id.Chain, []uint16{0x0403})
	require.NoError(t, err)
	reordered, err := identity.FromCaller(id.Chain, []uint16{0x0603, 0x0403, 0x0503, 0x0403})
	require.NoError(t, err)
	operators, err := identity.FromPEM("billing", pemBlock("CERTIFICATE", id.Chain[0]), id.KeyPEM(), "")
	require.NoError(t, err)

	require.True(t, pair.Equal(again))
	require.True(t, caller.Equal(reordered))
	for _, o := range []*identity.Identity{nil, short, caller,
		accepted(t, other, identity.KeyPair{Chain: other.Chain, PrivateKey: other.KeyPEM()})} {
		require.False(t, pair.Equal(o))
		require.False(t, o.Equal(pair))
	}
	require.False(t, caller.Equal(limited))
	require.False(t, operators.Equal(short))
	require.True(t, caller.CallerHeld())
	require.Equal(t, pair.SPKISHA256(), caller.SPKISHA256())
}
