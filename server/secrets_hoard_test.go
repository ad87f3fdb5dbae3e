package server_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// hoard is a hundred canaries: secrets that are known again wherever they turn up.
type hoard struct {
	keys        []hoardKey
	passphrases []string
	passwords   []string // of proxies
	bearers     []string // tokens that callers show

	secrets map[string][]byte // all of them, by name
	sieve   *sieve
}

type hoardKey struct {
	name string
	key  crypto.Signer
}

// How many there are of each. The resume tokens come on top, from the service itself.
const (
	rsaCanaries, ecCanaries, edCanaries = 3, 16, 16
	wordCanaries                        = 22 // passphrases, passwords, bearer tokens: of each
)

func newHoard(tb testing.TB) *hoard {
	tb.Helper()
	h := &hoard{secrets: map[string][]byte{}, sieve: &sieve{}}
	for range rsaCanaries {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		require.NoError(tb, err)
		h.addKey(tb, key)
	}
	for range ecCanaries {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(tb, err)
		h.addKey(tb, key)
	}
	for range edCanaries {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		require.NoError(tb, err)
		h.addKey(tb, key)
	}
	for range wordCanaries {
		h.passphrases = append(h.passphrases, h.word("passphrase"))
		h.passwords = append(h.passwords, h.word("password"))
		h.bearers = append(h.bearers, h.word("bearer"))
	}
	return h
}

func (h *hoard) addKey(tb testing.TB, key crypto.Signer) {
	tb.Helper()
	name := fmt.Sprintf("key %d", len(h.keys))
	h.keys = append(h.keys, hoardKey{name, key})
	for i, part := range secretsOf(tb, key) {
		if i > 0 {
			h.sieve.add(fmt.Sprintf("%s, prime %d", name, i), part)
			continue
		}
		h.secrets[name] = part
		h.sieve.add(name, part)
	}
}

// word is random text, as people paste it.
func (h *hoard) word(kind string) string {
	word := rand.Text() + rand.Text()[:6]
	name := fmt.Sprintf("%s %d", kind, len(h.secrets))
	h.secrets[name] = []byte(word)
	h.sieve.add(name, []byte(word))
	return word
}

// pair is an identity's key in one of its forms, of which n chooses one.
func (h *hoard) pair(tb testing.TB, n int, id *tlstest.Identity, passphrase string) *pb.KeyPair {
	tb.Helper()
	der := pkcs8Of(tb, id.Key)
	switch n % 6 {
	case 0:
		return &pb.KeyPair{CertificateChain: id.Chain, PrivateKey: der}
	case 1:
		return &pb.KeyPair{CertificateChain: id.Chain, PrivateKey: pemOf("PRIVATE KEY", der)}
	case 2:
		return &pb.KeyPair{CertificateChain: id.Chain, PrivateKey: encryptedPKCS8(tb, id.Key, passphrase), Passphrase: passphrase}
	case 3:
		return &pb.KeyPair{CertificateChain: id.Chain, PrivateKey: pemOf("ENCRYPTED PRIVATE KEY", encryptedPKCS8(tb, id.Key, passphrase)), Passphrase: passphrase}
	case 4:
		return &pb.KeyPair{Pkcs12: pkcs12Of(tb, id, passphrase), Passphrase: passphrase}
	}
	// A passphrase that is not needed is a secret too.
	return &pb.KeyPair{CertificateChain: id.Chain, PrivateKey: der, Passphrase: passphrase}
}
