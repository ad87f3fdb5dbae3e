package tlsengine_test

import (
	"crypto/x509"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine"
	"securesocket/tlsengine/forge"
	"securesocket/tlsengine/revocation"
	"securesocket/tlsengine/tlstest"
)

// An authority may sign its CRLs with a key of its own, if that one is as good as the other.
func TestCRLOfAnotherKey(t *testing.T) {
	t.Parallel()
	root, stranger := tlstest.NewCA(t), tlstest.NewCA(t)
	inter, lists := root.Intermediate(), root.Intermediate() // of one name
	foreign := stranger.Intermediate()
	leaf := inter.Leaf()
	rootCRL := root.CRL(forge.List{})
	revoked := []*x509.Certificate{leaf.Leaf}
	for name, row := range map[string]struct {
		extra *tlstest.CA
		crls  [][]byte
		want  string
	}{
		"good":             {lists, [][]byte{rootCRL, lists.CRL(forge.List{})}, ""},
		"revoked":          {lists, [][]byte{rootCRL, lists.CRL(forge.List{Revoked: revoked})}, "CERTIFICATE_REVOKED@0"},
		"the key is gone":  {lists, [][]byte{root.CRL(forge.List{Revoked: []*x509.Certificate{lists.Certificate}}), lists.CRL(forge.List{})}, "REVOCATION_UNKNOWN@0"},
		"under a stranger": {foreign, [][]byte{rootCRL, stranger.CRL(forge.List{}), foreign.CRL(forge.List{})}, "REVOCATION_UNKNOWN@0"},
	} {
		chain := append(leaf.Chain[:2:2], row.extra.DER())
		r := validate(t, &tlsengine.Config{VerifyNames: []string{"localhost"}, Revocation: revocation.Hard,
			Trust: anchors(root.Certificate, stranger.Certificate)}, tlsengine.Chain{Certificates: chain, CRLs: row.crls})
		require.Equal(t, row.want, problems(r), name)
	}
}
