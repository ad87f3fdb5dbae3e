package identity

import (
	"crypto"
	"strconv"

	"securesocket/tlsengine/secret"
)

// Bounds on what is handed over.
const (
	maxKeyBytes        = 64 << 10
	maxPKCS12Bytes     = 256 << 10
	maxPassphraseBytes = 1 << 10
)

// KeyPair is what a caller hands over. Nothing of it is kept or modified; it stays the caller's to clear. It prints
// without its key, except from within an unexported field of another struct, where fmt asks no methods.
type KeyPair struct {
	Chain      [][]byte // DER, leaf first
	PrivateKey []byte   // PKCS#8, PKCS#1 or SEC 1; DER or PEM; may be encrypted
	Passphrase string   // of PrivateKey or PKCS12; not looked at where nothing is encrypted
	PKCS12     []byte   // DER, instead of Chain and PrivateKey
}

// FromKeyPair makes an identity of a chain and its key. It may take a second of CPU where the key is encrypted. The
// error is an *InputError.
func FromKeyPair(kp KeyPair) (i *Identity, err error) {
	secret.Do(func() { i, err = fromKeyPair(kp) })
	return i, err
}

func fromKeyPair(kp KeyPair) (*Identity, error) {
	if len(kp.Passphrase) > maxPassphraseBytes {
		return nil, passphraseError("is longer than " + strconv.Itoa(maxPassphraseBytes) + " bytes")
	}
	if len(kp.PKCS12) > 0 {
		if len(kp.Chain) > 0 || len(kp.PrivateKey) > 0 {
			return nil, &InputError{Field: fieldPKCS12, Why: "is given together with certificate_chain or private_key"}
		}
		return fromPKCS12(kp.PKCS12, kp.Passphrase)
	}
	chain, err := parseChain(kp.Chain)
	if err != nil {
		return nil, err
	}
	key, err := parsePrivateKey(kp.PrivateKey, kp.Passphrase)
	if err != nil {
		return nil, err
	}
	if why := unfit(chain[0].PublicKey); why != "" {
		return nil, chainError("the leaf has " + why)
	}
	if !fits(key, chain[0].PublicKey) {
		return nil, keyError("does not belong to the leaf certificate")
	}
	return newIdentity(chain, key), nil
}

// fits reports whether key has the public half pub.
func fits(key crypto.Signer, pub crypto.PublicKey) bool {
	own, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && own.Equal(pub)
}
