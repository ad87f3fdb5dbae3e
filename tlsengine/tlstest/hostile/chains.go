package hostile

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"

	"securesocket/tlsengine/forge"
)

// The chains below panic where crypto/x509 cannot make them, which is no matter of their arguments.

// ManyCertificates is a good leaf below ca with n authorities behind it that have nothing to do with it.
func ManyCertificates(ca *forge.CA, n int) *forge.Identity { return LargeCertificates(ca, n, 0) }

// LargeCertificates is a good leaf below ca with n authorities of size bytes and more behind it.
func LargeCertificates(ca *forge.CA, n, size int) *forge.Identity {
	id := must(ca.Leaf())
	for range n {
		id.Append(must(ca.Intermediate(forge.Padding(size))).DER())
	}
	return id
}

// Explosive is a leaf below n authorities of one name and one key, on the slowest curve: each may have signed each, and
// none leads anywhere.
func Explosive(n int) *forge.Identity {
	same := []forge.Option{forge.Key(must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))), forge.CommonName("Same")}
	root := must(forge.NewCA(same...))
	id := must(root.Leaf())
	for range n {
		id.Append(must(root.Intermediate(same...)).DER())
	}
	return id
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
