package tlsengine

import (
	"crypto/dsa" //nolint:staticcheck // to refuse it
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
)

// minRSABits is the weakest RSA key, of whatever certificate: CA/Browser Forum, Baseline Requirements, section 6.1.5.
// Trust anchors are no exception: whoever factors their key issues what they like.
const minRSABits = 2048

// checkStrength is stricter than Verify, which takes any key that parses.
func (d *diagnosis) checkStrength(depth int) {
	cert := d.certs[depth]
	if why := weakness(cert); why != "" {
		hint := "server: get a certificate for a stronger key"
		if depth > 0 {
			hint = "server: get a certificate from an authority with a stronger key"
		}
		d.add(WeakKey, depth, hint, "the key of %s is too weak: %s", quote(subjectText(cert)), why)
	}
	if depth < len(d.edges) && d.edges[depth] == edgeWeak {
		d.add(WeakSignature, depth, "server: get a certificate that is signed with SHA-256 or better",
			"%s is signed with %s, which is not accepted", quote(subjectText(cert)), cert.SignatureAlgorithm)
	}
}

// weakness says what is wrong with the key of a certificate, or "".
func weakness(cert *x509.Certificate) string {
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		switch n := key.N.BitLen(); {
		case n < minRSABits:
			return fmt.Sprintf("RSA with %d bits, at least %d are needed", n, minRSABits)
		case n%8 != 0:
			return fmt.Sprintf("RSA with %d bits, which is not a number of bytes", n)
		case key.E < 3 || key.E%2 == 0:
			return fmt.Sprintf("RSA with the exponent %d", key.E)
		}
	case *ecdsa.PublicKey:
		if n := key.Curve.Params().BitSize; n < 256 {
			return fmt.Sprintf("an elliptic curve of %d bits, at least 256 are needed", n)
		}
	case *dsa.PublicKey:
		return "DSA, which TLS has given up"
	}
	return ""
}
