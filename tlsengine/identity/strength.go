package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"
	"math"
)

const (
	minRSABits = 2048
	maxRSABits = 8192 // crypto/tls refuses longer ones of a peer (CVE-2023-29409), as others do
)

// unfit says why a public key is not one to authenticate with in TLS, beginning with a noun, or "".
func unfit(pub crypto.PublicKey) string {
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		if why := unfitRSA(pub.N.BitLen()); why != "" {
			return why
		}
		if pub.E < 3 || pub.E%2 == 0 || pub.E > math.MaxInt32 {
			return "an RSA key with an unusable exponent"
		}
	case *ecdsa.PublicKey:
		switch pub.Curve {
		case elliptic.P256(), elliptic.P384(), elliptic.P521():
		default:
			return "an ECDSA key on a curve other than P-256, P-384 and P-521"
		}
	case ed25519.PublicKey:
	default:
		return "a key of a kind that is not supported: use RSA, ECDSA or Ed25519"
	}
	return ""
}

func unfitRSA(bits int) string {
	if bits < minRSABits {
		return fmt.Sprintf("an RSA key of %d bits, at least %d are needed", bits, minRSABits)
	}
	if bits > maxRSABits {
		return fmt.Sprintf("an RSA key of %d bits, at most %d are taken", bits, maxRSABits)
	}
	return ""
}
