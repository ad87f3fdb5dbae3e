package revocation

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// longPath is a leaf below so many authorities, the anchor first; sources says what the certificate that the
// authority i issues names as its own, and the leaf is the last.
func longPath(t testing.TB, authorities int, sources func(i int) func(*x509.Certificate)) (above []*authority, q Query) {
	t.Helper()
	above = []*authority{newAuthority(t)}
	for i := range authorities - 1 {
		a := above[i]
		l := a.leaf(func(c *x509.Certificate) {
			c.Subject.CommonName = fmt.Sprintf("Test Intermediate %d", i)
			c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
			sources(i)(c)
		})
		below := &authority{CA: a.Intermediate(), t: t, now: a.now}
		below.Certificate, below.Key = l.Certificate, l.key
		above = append(above, below)
	}
	last := above[authorities-1]
	q = Query{Chain: []*x509.Certificate{last.leaf(sources(authorities - 1)).Certificate}, Now: last.now}
	for _, a := range slices.Backward(above) {
		q.Chain = append(q.Chain, a.Certificate)
	}
	return above, q
}

func threeURLs(i int) func(*x509.Certificate) {
	url := fmt.Sprintf("%s%d/", crlURL, i)
	return withCRL(url, url+"2", url+"3")
}

func TestFourCertificatesAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, q := longPath(t, 15, threeURLs)
		var fetches, now, most atomic.Int32
		c := NewChecker(Config{Fetcher: fetcherFunc(func(context.Context, Request) ([]byte, error) {
			fetches.Add(1)
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer now.Add(-1)
			time.Sleep(time.Second / 10)
			return nil, badStatus
		})})
		for _, r := range c.Check(t.Context(), q) {
			require.Equal(t, NotChecked, r.Outcome)
		}
		require.EqualValues(t, maxParallel, most.Load())
		require.EqualValues(t, maxFetches, fetches.Load())
	})
}

// The longest chain is not too much when nothing fails.
func TestLongestChain(t *testing.T) {
	t.Parallel()
	lists := map[string][]byte{}
	above, q := longPath(t, 15, threeURLs)
	for i, a := range above {
		lists[fmt.Sprintf("%s%d/", crlURL, i)] = a.crl(nil)
	}
	fetcher := &serves{answers: lists}
	turns := newTurns(1)
	q.Turn = turns.take
	for _, r := range NewChecker(Config{Fetcher: fetcher}).Check(t.Context(), q) {
		require.Equal(t, Good, r.Outcome, "%d: %s", r.Depth, r.Detail)
	}
	require.EqualValues(t, 15, fetcher.fetches.Load())
	require.Zero(t, turns.held.Load())
}

// What one may not read any more, others may.
func TestBytesOfOneCheckAreBounded(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	l := ca.leaf(withCRL(crlURL))
	list := ca.crl(nil)
	c := NewChecker(Config{Fetcher: &serves{answers: map[string][]byte{crlURL: list}}})
	s, err := newSubject(ca.query(l).Chain, 0, ca.now)
	require.NoError(t, err)
	spent := &allowance{}
	spent.bytes.Store(maxCheckBytes - int64(len(list)) + 1)
	_, err = c.fetch(t.Context(), s, s.sources[0], spent)
	require.ErrorIs(t, err, tooMuch)
	r, err := c.fetch(t.Context(), s, s.sources[0], &allowance{})
	require.NoError(t, err)
	require.Equal(t, Good, r.Outcome)
}
