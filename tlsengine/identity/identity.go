package identity

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"slices"
)

// Identity is a certificate chain with a private key, or with somebody who has it. It is immutable and never prints
// its key. The zero value is of no use.
type Identity struct {
	chain      []*x509.Certificate
	raw        [][]byte // of chain, as crypto/tls wants it
	ref        string
	callerHeld bool
	schemes    []tls.SignatureScheme // sorted; only of a key that is elsewhere

	key crypto.Signer // nil: elsewhere
}

func newIdentity(chain []*x509.Certificate, key crypto.Signer) *Identity {
	i := &Identity{chain: chain, key: key}
	for _, cert := range chain {
		i.raw = append(i.raw, cert.Raw)
	}
	return i
}

// Chain returns the certificates, leaf first. They are shared and must not be modified.
func (i *Identity) Chain() []*x509.Certificate { return i.chain }

// SPKISHA256 is the hash of the leaf's public key.
func (i *Identity) SPKISHA256() [sha256.Size]byte {
	return sha256.Sum256(i.chain[0].RawSubjectPublicKeyInfo)
}

// Ref is the name that the operator gave the identity; empty unless it came from [FromPEM].
func (i *Identity) Ref() string { return i.ref }

// CallerHeld reports whether the key is elsewhere, so that a SignFunc is needed.
func (i *Identity) CallerHeld() bool { return i.callerHeld }

// Footprint estimates what the identity costs to keep, in bytes, without the certificates of its chain: the key, with what
// was computed of it in advance.
func (i *Identity) Footprint() int {
	const identity, key, slice = 512, 1 << 10, 24
	n := identity + len(i.raw)*slice
	switch k := i.key.(type) {
	case nil:
		return n
	case *rsa.PrivateKey:
		return n + key + footprintRSA*k.Size()
	}
	return n + key
}

// footprintRSA is how many numbers as long as the modulus an RSA key is kept as: its own, and what makes it faster.
const footprintRSA = 12

// Equal reports whether both show the same: chain, ref, and who has the key with what schemes. Keys need no comparing, for
// each fits its leaf.
func (i *Identity) Equal(o *Identity) bool {
	if i == nil || o == nil {
		return i == o
	}
	return i.ref == o.ref && i.callerHeld == o.callerHeld && slices.Equal(i.schemes, o.schemes) &&
		slices.EqualFunc(i.raw, o.raw, bytes.Equal)
}
