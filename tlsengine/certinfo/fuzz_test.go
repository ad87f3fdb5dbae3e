package certinfo_test

import (
	"crypto/x509"
	"testing"

	"securesocket/tlsengine/certinfo"
	"securesocket/tlsengine/tlstest"
)

// FuzzRead: whatever x509 parses is described or refused; and what it refuses must not crash either.
func FuzzRead(f *testing.F) {
	ca := tlstest.NewCA(f)
	f.Add(ca.DER())
	f.Add(ca.Leaf(tlstest.RSA(2048)).Leaf.Raw)
	f.Add(ca.Leaf(tlstest.Ed25519(), tlstest.CommonName("")).Leaf.Raw)
	f.Fuzz(func(_ *testing.T, der []byte) {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			cert = &x509.Certificate{Raw: der}
		}
		_, _ = certinfo.Read(cert)
	})
}
