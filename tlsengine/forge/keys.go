package forge

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
)

// RSA asks for an RSA key; the default is ECDSA P-256. Go makes none below 1024 bits.
func RSA(bits int) Option {
	return func(t *template) {
		t.newKey = func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, bits) }
	}
}

// ECDSA asks for a key on the curve.
func ECDSA(curve elliptic.Curve) Option {
	return func(t *template) {
		t.newKey = func() (crypto.Signer, error) { return ecdsa.GenerateKey(curve, rand.Reader) }
	}
}

// Ed25519 asks for an Ed25519 key.
func Ed25519() Option {
	return func(t *template) {
		t.newKey = func() (crypto.Signer, error) {
			_, key, err := ed25519.GenerateKey(rand.Reader)
			return key, err
		}
	}
}

// Key gives the certificate a key that is there already: making RSA keys takes long.
func Key(key crypto.Signer) Option {
	return func(t *template) { t.newKey = func() (crypto.Signer, error) { return key, nil } }
}

// PublicKey writes pub into the certificate whatever key its owner has, who then cannot prove that it is his.
func PublicKey(pub crypto.PublicKey) Option { return func(t *template) { t.public = pub } }

func newP256() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }
