package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"fmt"
	"slices"
)

// FromCaller makes an identity whose key stays with the caller, who signs. schemes are IANA's TLS SignatureScheme numbers
// that the caller can make; none stands for all that fit the leaf's key. Their order has no meaning: the peer's has. An
// ECDSA key fits the schemes of every curve, since TLS 1.2 reads of them the hash alone (RFC 8446, section 4.2.3). The
// error is an *InputError.
func FromCaller(chain [][]byte, schemes []uint16) (*Identity, error) {
	certs, err := parseChain(chain)
	if err != nil {
		return nil, err
	}
	if why := unfit(certs[0].PublicKey); why != "" {
		return nil, chainError("the leaf has " + why)
	}
	fitting := schemesFor(certs[0].PublicKey)
	i := newIdentity(certs, nil)
	i.callerHeld = true
	for _, number := range schemes {
		scheme := tls.SignatureScheme(number)
		if !slices.Contains(fitting, scheme) {
			return nil, &InputError{Field: fieldSchemes, Why: fmt.Sprintf("0x%04x does not fit the leaf's key, or is not supported", number), Key: true}
		}
		if !slices.Contains(i.schemes, scheme) {
			i.schemes = append(i.schemes, scheme)
		}
	}
	if len(schemes) == 0 {
		i.schemes = slices.Clone(fitting)
	}
	slices.Sort(i.schemes)
	return i, nil
}

var (
	rsaSchemes = []tls.SignatureScheme{
		tls.PSSWithSHA256, tls.PSSWithSHA384, tls.PSSWithSHA512,
		tls.PKCS1WithSHA256, tls.PKCS1WithSHA384, tls.PKCS1WithSHA512,
	}
	ecdsaSchemes   = []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256, tls.ECDSAWithP384AndSHA384, tls.ECDSAWithP521AndSHA512}
	ed25519Schemes = []tls.SignatureScheme{tls.Ed25519}
)

// schemesFor returns what a caller may be asked for: never SHA-1, which nobody verifies any more.
func schemesFor(pub crypto.PublicKey) []tls.SignatureScheme {
	switch pub.(type) {
	case *rsa.PublicKey:
		return rsaSchemes
	case *ecdsa.PublicKey:
		return ecdsaSchemes
	case ed25519.PublicKey:
		return ed25519Schemes
	}
	return nil
}
