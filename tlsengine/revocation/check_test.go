package revocation

import (
	"context"
	"crypto/x509"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryCertificateButTheAnchor(t *testing.T) {
	t.Parallel()
	root := newAuthority(t)
	named := root.leaf(func(c *x509.Certificate) {
		c.Subject.CommonName, c.CRLDistributionPoints = "Test Intermediate", []string{crlURL}
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	})
	ca := &authority{CA: root.Intermediate(), t: t, now: root.now}
	ca.Certificate, ca.Key = named.Certificate, named.key
	l := ca.leaf(withOCSP(ocspURL))
	fetcher := &serves{answers: map[string][]byte{crlURL: root.crl(nil, named), ocspURL: ca.ocsp(l, nil)}}
	q := Query{Chain: []*x509.Certificate{l.Certificate, ca.Certificate, root.Certificate}}
	raw := [][]byte{append([]byte(nil), l.Raw...), append([]byte(nil), named.Raw...)}
	all := NewChecker(Config{Fetcher: fetcher}).Check(t.Context(), q)
	require.Len(t, all, 2)
	require.Equal(t, Good, all[0].Outcome, all[0].Detail)
	require.Equal(t, OCSP, all[0].Source)
	require.Equal(t, Revoked, all[1].Outcome, all[1].Detail)
	require.Equal(t, CRL, all[1].Source)
	require.Equal(t, 0, all[0].Depth)
	require.Equal(t, 1, all[1].Depth)
	require.Equal(t, raw, [][]byte{l.Raw, named.Raw})
}

func TestNothingToAsk(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	l := ca.leaf(nil)
	for _, c := range []*Checker{nil, NewChecker(Config{})} {
		require.Empty(t, c.Check(t.Context(), Query{}))
		require.Empty(t, c.Check(t.Context(), Query{Chain: []*x509.Certificate{l.Certificate}}))
		for _, chain := range [][]*x509.Certificate{
			{nil, nil}, {l.Certificate, nil}, {nil, ca.Certificate}, {{}, {}}, {l.Certificate, {}}, {{}, ca.Certificate},
		} {
			all := c.Check(t.Context(), Query{Chain: chain, Staple: []byte{1}, CRLs: [][]byte{nil, {0x30}}})
			require.Len(t, all, 1)
			require.Equal(t, NotChecked, all[0].Outcome)
			require.NotEmpty(t, all[0].Detail)
		}
		r, said := explained(t, c, ca.query(l))
		requireReason(t, noSource, r, said)
		r, said = explained(t, c, ca.query(ca.leaf(withCRL(crlURL))))
		requireReason(t, nothingFetched, r, said)
	}
}

func TestFailedSourceIsFollowedByTheNext(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	l := ca.leaf(func(c *x509.Certificate) {
		c.CRLDistributionPoints, c.OCSPServer = []string{crlURL}, []string{ocspURL}
	})
	fetcher := &serves{answers: map[string][]byte{crlURL: {1}, ocspURL: ca.ocsp(l, nil)}}
	r, _ := explained(t, NewChecker(Config{Fetcher: fetcher}), stapled(ca, l, []byte{1}))
	require.Equal(t, Good, r.Outcome, r.Detail)
	require.Equal(t, OCSP, r.Source)
	require.Empty(t, r.Detail)
}

func TestCallerWhoHasLeftAsksNobody(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	fetcher := &serves{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	all := NewChecker(Config{Fetcher: fetcher}).Check(ctx, ca.query(ca.leaf(withCRL(crlURL))))
	require.Len(t, all, 1)
	require.Equal(t, NotChecked, all[0].Outcome)
	require.Zero(t, fetcher.fetches.Load())
}
