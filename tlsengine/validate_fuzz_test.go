package tlsengine_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine"
	"securesocket/tlsengine/forge"
	"securesocket/tlsengine/revocation"
	"securesocket/tlsengine/tlstest"
)

// FuzzValidate spoils chains that are good, and what comes with them.
func FuzzValidate(f *testing.F) {
	// One key, so that what one worker finds means the same to all.
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{7}, 32))
	require.NoError(f, err)
	root := tlstest.NewCA(f, tlstest.Key(key))
	seed := func(inter, leaf opts) {
		ca := root.Intermediate(append(inter, tlstest.Key(key))...)
		id := ca.Leaf(append(leaf, tlstest.Key(key))...)
		f.Add(id.Chain[0], id.Chain[1], ca.OCSP(forge.Answer{Serial: id.Leaf.SerialNumber}), ca.CRL(forge.List{}), uint16(0), byte(0))
		f.Add(id.Chain[0], id.Chain[1], []byte(nil), []byte(nil), uint16(200), byte(1))
	}
	seed(nil, nil)
	seed(opts{tlstest.PermittedDNS("localhost")}, nil)
	seed(opts{tlstest.PathLen(0)}, opts{tlstest.Names("localhost", "127.0.0.1", "uri:https://localhost/")})
	seed(nil, opts{forge.MustStaple(), forge.IssuerURL("http://ca.example/")})
	seed(nil, opts{tlstest.Expired()})
	f.Fuzz(func(t *testing.T, leaf, inter, staple, crl []byte, at uint16, xor byte) {
		if int(at) < len(leaf) {
			leaf = bytes.Clone(leaf)
			leaf[at] ^= xor
		}
		now := time.Now()
		cfg := &tlsengine.Config{VerifyNames: []string{"localhost"}, Trust: anchors(root.Certificate), Revocation: revocation.Soft,
			Now: func() time.Time { return now }}
		chain := tlsengine.Chain{Certificates: [][]byte{leaf, inter}, Staple: staple, CRLs: [][]byte{crl}}
		r, err := tlsengine.Validate(t.Context(), cfg, chain)
		require.NoError(t, err)
		for _, p := range r.Problems {
			require.True(t, isPrintable(p.Message), "%q", p.Message)
			require.True(t, isPrintable(p.Hint), "%q", p.Hint)
			require.Less(t, p.Depth, max(len(r.JudgedPath), 1))
		}
		for _, w := range r.Warnings {
			require.True(t, isPrintable(w), "%q", w)
		}
		if r.Status != tlsengine.StatusTrusted {
			require.NotEmpty(t, r.Problems)
			require.Empty(t, r.VerifiedChain)
			return
		}
		require.Empty(t, r.Problems)
		intermediates := x509.NewCertPool()
		if cert, err := x509.ParseCertificate(inter); err == nil {
			intermediates.AddCert(cert)
		}
		_, err = r.PeerChain[0].Verify(x509.VerifyOptions{DNSName: "localhost", Roots: root.Pool(), Intermediates: intermediates, CurrentTime: now})
		require.NoError(t, err)
		cfg.Trust = tlsengine.Trust{}
		r, err = tlsengine.Validate(t.Context(), cfg, chain)
		require.NoError(t, err)
		require.Equal(t, tlsengine.StatusUntrustedSigners, r.Status)
	})
}
