package revocation

import (
	"context"
	"crypto/x509"
	"io"
	"math/big"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"
)

func TestSecondCheckFetchesNothing(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	gone, here := ca.leaf(withCRL(crlURL)), ca.leaf(withCRL(crlURL))
	asked, revoked := ca.leaf(withOCSP(ocspURL)), ca.leaf(withOCSP(ocspURL+"r"))
	fetcher := &serves{answers: map[string][]byte{
		crlURL: ca.crl(nil, gone), ocspURL: ca.ocsp(asked, nil), ocspURL + "r": ca.ocsp(revoked, revokedOCSP),
	}}
	c := NewChecker(Config{Fetcher: fetcher})
	for i, step := range []struct {
		leaf    leaf
		want    Outcome
		source  Source
		fetches int32
	}{
		{gone, Revoked, CRL, 1}, {gone, Revoked, Cache, 1}, {here, Good, Cache, 1},
		{asked, Good, OCSP, 2}, {asked, Good, Cache, 2},
		{revoked, Revoked, OCSP, 3}, {revoked, Revoked, Cache, 3},
	} {
		r, said := explained(t, c, ca.query(step.leaf))
		require.Equal(t, step.want, r.Outcome, "%d: %v", i, said)
		require.Equal(t, step.source, r.Source, i)
		require.Equal(t, step.fetches, fetcher.fetches.Load(), i)
		require.False(t, r.ThisUpdate.IsZero(), i)
		require.Equal(t, r.Outcome == Revoked, !r.RevokedAt.IsZero(), i)
	}
}

// A good staple does not hide what is already known.
func TestStapleDoesNotHideRevocation(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	l := ca.leaf(withCRL(crlURL))
	c := NewChecker(Config{Fetcher: &serves{answers: map[string][]byte{crlURL: ca.crl(nil, l)}}})
	q := stapled(ca, l, ca.ocsp(l, nil))
	r, _ := explained(t, c, q)
	require.Equal(t, Good, r.Outcome)
	require.Equal(t, Staple, r.Source)

	q.Staple = nil
	r, _ = explained(t, c, q)
	require.Equal(t, Revoked, r.Outcome)

	q.Staple = ca.ocsp(l, nil)
	r, _ = explained(t, c, q)
	require.Equal(t, Revoked, r.Outcome)
	require.Equal(t, Cache, r.Source)

	q.CRLs = [][]byte{ca.crl(nil, l)}
	r, _ = explained(t, nil, q)
	require.Equal(t, Revoked, r.Outcome)
	require.Equal(t, CRL, r.Source)
}

func TestCachedAnswerEnds(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	listed, asked := ca.leaf(withCRL(crlURL)), ca.leaf(withOCSP(ocspURL))
	for _, l := range []leaf{listed, asked} {
		fetcher := &serves{answers: map[string][]byte{
			crlURL:  ca.crl(func(l *x509.RevocationList) { l.NextUpdate = ca.now.Add(time.Hour) }),
			ocspURL: ca.ocsp(asked, func(r *ocsp.Response) { r.NextUpdate = ca.now.Add(time.Hour) }),
		}}
		c := NewChecker(Config{Fetcher: fetcher})
		q := ca.query(l)
		for _, step := range []struct {
			after   time.Duration
			fetches int32
		}{{0, 1}, {50 * time.Minute, 1}, {time.Hour, 2}} {
			q.Now = ca.now.Add(step.after)
			r, said := explained(t, c, q)
			require.Equal(t, step.fetches, fetcher.fetches.Load(), step.after)
			if step.after == time.Hour {
				requireReason(t, outOfDate, r, said)
			} else {
				require.Equal(t, Good, r.Outcome, said)
			}
		}
	}
}

// What lasts a year is asked for again after a week.
func TestCacheEndsAfterAWeek(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	l := ca.leaf(withOCSP(ocspURL))
	fetcher := &serves{answers: map[string][]byte{
		ocspURL: ca.ocsp(l, func(r *ocsp.Response) { r.NextUpdate = ca.now.Add(300 * 24 * time.Hour) }),
	}}
	c := NewChecker(Config{Fetcher: fetcher})
	q := ca.query(l)
	explained(t, c, q)
	q.Now = q.Now.Add(maxAge)
	r, _ := explained(t, c, q)
	require.Equal(t, Good, r.Outcome)
	require.EqualValues(t, 2, fetcher.fetches.Load())
}

func TestFailureIsRememberedForMinutes(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	fetcher := &serves{}
	c := NewChecker(Config{Fetcher: fetcher})
	q := ca.query(ca.leaf(withCRL(crlURL)))
	for _, step := range []struct {
		after   time.Duration
		fetches int32
	}{{0, 1}, {0, 1}, {negativeMin - time.Second, 1}, {negativeMax, 2}} {
		q.Now = ca.now.Add(step.after)
		r, said := explained(t, c, q)
		requireReason(t, badStatus, r, said)
		require.Equal(t, step.fetches, fetcher.fetches.Load(), step.after)
	}
}

// What is wrong for one certificate is not wrong for all.
func TestScopeIsJudgedPerCertificate(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	fetcher := &serves{answers: map[string][]byte{crlURL: ca.crl(crlExtension(idp(t, []string{crlURL}, 2)))}}
	c := NewChecker(Config{Fetcher: fetcher})
	for range 2 {
		r, said := explained(t, c, ca.query(ca.leaf(withCRL(crlURL))))
		requireReason(t, otherScope, r, said)
	}
	require.EqualValues(t, 1, fetcher.fetches.Load())
	r, _ := explained(t, c, ca.query(ca.leaf(func(cert *x509.Certificate) {
		cert.CRLDistributionPoints, cert.IsCA, cert.BasicConstraintsValid = []string{crlURL}, true, true
	})))
	require.Equal(t, Good, r.Outcome, r.Detail)
}

// An answer that was signed by the key of one path says nothing on a path without that key.
func TestCacheIsOfTheSigner(t *testing.T) {
	t.Parallel()
	old := newAuthority(t)
	rolled := &authority{CA: old.Intermediate(tlstest.CommonName("Test Root")), t: t, now: old.now} // the same name, a new key
	twin := newAuthority(t)
	l := rolled.leaf(withCRL(crlURL))
	fetcher := &serves{answers: map[string][]byte{crlURL: old.crl(nil)}}
	c := NewChecker(Config{Fetcher: fetcher})

	q := Query{Chain: []*x509.Certificate{l.Certificate, rolled.Certificate, old.Certificate}, Now: old.now}
	r, _ := explained(t, c, q)
	require.Equal(t, Good, r.Outcome, r.Detail)
	q.Chain = []*x509.Certificate{l.Certificate, rolled.Certificate, twin.Certificate}
	r, said := explained(t, c, q)
	requireReason(t, badSignature, r, said)
	require.EqualValues(t, 2, fetcher.fetches.Load())
}

// blocking is a Fetcher that answers when it is let.
type blocking struct {
	answer  []byte
	started chan struct{} // gets one for each fetch
	release chan struct{}
	fetches atomic.Int32
	left    atomic.Int32 // fetches whose context ended
}

func newBlocking(answer []byte) *blocking {
	return &blocking{answer: answer, started: make(chan struct{}, 100), release: make(chan struct{})}
}

func (b *blocking) Fetch(ctx context.Context, r Request) (io.ReadCloser, error) {
	b.fetches.Add(1)
	b.started <- struct{}{}
	select {
	case <-b.release:
		return fetcherFunc(func(context.Context, Request) ([]byte, error) { return b.answer, nil }).Fetch(ctx, r)
	case <-ctx.Done():
		b.left.Add(1)
		return nil, ctx.Err()
	}
}

func TestOneFetchForAll(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	leaves := []leaf{ca.leaf(withCRL(crlURL)), ca.leaf(withCRL(crlURL))}
	fetcher := newBlocking(ca.crl(nil, leaves[1]))
	c := NewChecker(Config{Fetcher: fetcher})

	// The first caller leaves while the fetch is under way.
	first, leave := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		r := c.Check(first, ca.query(leaves[0]))
		require.Equal(t, NotChecked, r[0].Outcome)
	})
	<-fetcher.started
	results := make([]Result, 50)
	for i := range results {
		all.Go(func() { results[i] = c.Check(t.Context(), ca.query(leaves[i%2]))[0] })
	}
	require.Eventually(t, func() bool {
		c.flights.mu.Lock()
		defer c.flights.mu.Unlock()
		for _, f := range c.flights.byKey {
			return f.waiting == 1+len(results)
		}
		return false
	}, 10*time.Second, time.Millisecond)
	leave()
	require.Eventually(t, func() bool {
		c.flights.mu.Lock()
		defer c.flights.mu.Unlock()
		for _, f := range c.flights.byKey {
			return f.waiting == len(results)
		}
		return false
	}, 10*time.Second, time.Millisecond)
	close(fetcher.release)
	all.Wait()
	for i, r := range results {
		require.Equal(t, []Outcome{Good, Revoked}[i%2], r.Outcome, r.Detail)
		require.Equal(t, CRL, r.Source)
	}
	require.EqualValues(t, 1, fetcher.fetches.Load())
	require.Zero(t, fetcher.left.Load())
	require.Zero(t, c.indexes.used)
}

// A fetch that nobody waits for ends, and leaves nothing behind.
func TestFetchEndsWithItsLastCaller(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	l := ca.leaf(withCRL(crlURL))
	fetcher := newBlocking(ca.crl(nil))
	c := NewChecker(Config{Fetcher: fetcher})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan []Result)
	go func() { done <- c.Check(ctx, ca.query(l)) }()
	<-fetcher.started
	cancel()
	require.Equal(t, NotChecked, (<-done)[0].Outcome)
	require.Eventually(t, func() bool { return fetcher.left.Load() == 1 }, 10*time.Second, time.Millisecond)

	close(fetcher.release)
	r, _ := explained(t, c, ca.query(l))
	require.Equal(t, Good, r.Outcome, r.Detail)
	require.EqualValues(t, 2, fetcher.fetches.Load())
}

// A list whose index has no room is answered all the same, for each certificate by itself.
func TestListThatIsNotKept(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	gone, here := ca.leaf(withCRL(crlURL)), ca.leaf(withCRL(crlURL))
	fetcher := &serves{answers: map[string][]byte{crlURL: ca.crl(nil, gone)}}
	c := NewChecker(Config{Fetcher: fetcher})
	require.True(t, (&room{&c.indexes, "another"}).take(maxOwnerBytes))
	require.True(t, (&room{&c.indexes, "a third"}).take(maxOwnerBytes))
	for _, step := range []struct {
		leaf    leaf
		want    Outcome
		fetches int32
	}{{gone, Revoked, 1}, {here, Good, 2}, {gone, Revoked, 2}, {here, Good, 2}} {
		r, said := explained(t, c, ca.query(step.leaf))
		require.Equal(t, step.want, r.Outcome, said)
		require.Equal(t, step.fetches, fetcher.fetches.Load())
	}
}

type weight int

func (weight) judge(*subject, source) (Result, error) { return Result{}, nil }
func (weight) ends() time.Time                        { return time.Now().Add(time.Hour) }
func (w weight) bytes() int                           { return int(w) }

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	var c cache
	now := time.Now()
	key := func(i int64) (k cacheKey) {
		copy(k.what[:], big.NewInt(i+1).Bytes())
		return k
	}
	for i := range int64(200) {
		c.remember(key(i), weight(1<<20), now)
		_, ok := c.get(key(0), now) // used, so it stays
		require.True(t, ok)
	}
	require.LessOrEqual(t, c.used, maxCacheBytes)
	require.Len(t, c.byKey, 39)
	_, ok := c.get(key(199), now)
	require.True(t, ok)
	_, ok = c.get(key(100), now)
	require.False(t, ok)
	c.remember(key(0), weight(maxCacheBytes), now)
	_, ok = c.get(key(0), now)
	require.False(t, ok)
	_, ok = c.get(key(199), now.Add(-time.Hour))
	require.False(t, ok, "a clock that is behind does not know it yet")
}
