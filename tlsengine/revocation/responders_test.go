package revocation

import (
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// The failure of one responder is not that of the next.
func TestSecondResponderIsAsked(t *testing.T) {
	t.Parallel()
	const up = ocspURL + "up"
	ca := newAuthority(t)
	l := ca.leaf(withOCSP(ocspURL, up))
	fetcher := &serves{answers: map[string][]byte{up: ca.ocsp(l, revokedOCSP)}}
	c := NewChecker(Config{Fetcher: fetcher})
	for _, source := range []Source{OCSP, Cache} {
		r, said := explained(t, c, ca.query(l))
		require.Equal(t, Revoked, r.Outcome, said)
		require.Equal(t, source, r.Source)
		require.EqualValues(t, 2, fetcher.fetches.Load())
	}
}

func TestEachResponderHasItsOwnFailure(t *testing.T) {
	t.Parallel()
	const garbage = ocspURL + "garbage"
	ca := newAuthority(t)
	fetcher := &serves{answers: map[string][]byte{garbage: {1}}}
	c := NewChecker(Config{Fetcher: fetcher})
	q := ca.query(ca.leaf(withOCSP(ocspURL, garbage)))
	for range 2 {
		r, said := explained(t, c, q)
		require.Equal(t, NotChecked, r.Outcome)
		require.Len(t, said, 2)
		for i, why := range []reason{badStatus, malformed} {
			var got reason
			require.True(t, errors.As(said[i], &got))
			require.Equal(t, why, got)
		}
		require.EqualValues(t, 2, fetcher.fetches.Load())
	}
}

// While one responder is waited for, nobody waits for it who asks another.
func TestEachResponderHasItsOwnFetch(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	l := ca.leaf(withOCSP(ocspURL, ocspURL+"2"))
	s, err := newSubject(ca.query(l).Chain, 0, ca.now)
	require.NoError(t, err)
	fetcher := newBlocking(ca.ocsp(l, nil))
	c := NewChecker(Config{Fetcher: fetcher})
	var all sync.WaitGroup
	for _, src := range s.sources {
		all.Go(func() {
			r, err := c.fetch(t.Context(), s, src, &allowance{})
			require.NoError(t, err)
			require.Equal(t, Good, r.Outcome)
		})
	}
	for range s.sources {
		<-fetcher.started
	}
	close(fetcher.release)
	all.Wait()
}

// A failure, at a time of which nothing is known any more, takes no answer from those who can use it.
func TestFailureDoesNotReplaceAnAnswer(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	q := ca.query(ca.leaf(withCRL(crlURL)))
	fetcher := &serves{answers: map[string][]byte{crlURL: ca.crl(nil)}}
	c := NewChecker(Config{Fetcher: fetcher})
	r, _ := explained(t, c, q)
	require.Equal(t, Good, r.Outcome)
	later := q
	later.Now = q.Now.Add(2 * maxAge)
	r, said := explained(t, c, later)
	requireReason(t, outOfDate, r, said)
	r, _ = explained(t, c, q)
	require.Equal(t, Good, r.Outcome)
	require.Equal(t, Cache, r.Source)
}

// A delta CRL that does not list one certificate may list the next.
func TestDeltaIsKept(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	gone := ca.leaf(withCRL(crlURL))
	fetcher := &serves{answers: map[string][]byte{crlURL: ca.crl(crlExtension(extra(oidDelta, true, []byte{2, 1, 1})), gone)}}
	c := NewChecker(Config{Fetcher: fetcher})
	for range 2 {
		r, said := explained(t, c, ca.query(ca.leaf(withCRL(crlURL))))
		requireReason(t, deltaCRL, r, said)
	}
	r, _ := explained(t, c, ca.query(gone))
	require.Equal(t, Revoked, r.Outcome, r.Detail)
	require.EqualValues(t, 1, fetcher.fetches.Load())
}
