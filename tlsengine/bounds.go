package tlsengine

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
)

// Bounds on what a peer may have judged. crypto/tls alone takes 256 KiB of certificates.
const (
	maxPresented        = 16
	maxPresentedBytes   = 128 << 10
	maxCertificateBytes = 32 << 10
)

// withinBounds returns how many certificates of the presented chain keep the bounds, by their sizes, and why the rest does
// not, or "".
func withinBounds(sizes []int) (n int, why string) {
	total := 0
	for i, size := range sizes {
		total += size
		switch {
		case i == maxPresented:
			return i, fmt.Sprintf("the peer sent %d certificates, at most %d are judged", len(sizes), maxPresented)
		case size > maxCertificateBytes:
			return i, fmt.Sprintf("certificate %d of the peer has %d bytes, at most %d are judged", i, size, maxCertificateBytes)
		case total > maxPresentedBytes:
			return i, fmt.Sprintf("the peer's certificates have more than %d bytes in all", maxPresentedBytes)
		}
	}
	return len(sizes), ""
}

// distinct drops what came before, by SHA-256 of the DER.
func distinct(lists ...[]*x509.Certificate) []*x509.Certificate {
	var out []*x509.Certificate
	seen := make(map[[sha256.Size]byte]bool)
	for _, list := range lists {
		for _, cert := range list {
			sum := sha256.Sum256(cert.Raw)
			if !seen[sum] {
				seen[sum] = true
				out = append(out, cert)
			}
		}
	}
	return out
}
