package revocation

import (
	"crypto/x509"
	"math/big"
	"testing"
)

// What is known already costs a question little.
func BenchmarkKnown(b *testing.B) {
	ca := newAuthority(b)
	l := ca.leaf(func(c *x509.Certificate) {
		c.CRLDistributionPoints, c.OCSPServer, c.SerialNumber = []string{crlURL}, []string{ocspURL}, big.NewInt(1<<60)
	})
	c := NewChecker(Config{Fetcher: &serves{answers: map[string][]byte{crlURL: ca.crl(nil), ocspURL: ca.ocsp(l, nil)}}})
	q := ca.query(l)
	q.Owner = "uid:1000"
	c.Check(b.Context(), q)
	b.ReportAllocs()
	for b.Loop() {
		if c.Check(b.Context(), q)[0].Source != Cache {
			b.Fatal("asked again")
		}
	}
}
