package revocation

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	ownerA = "user:a"
	ownerB = "user:b"
)

func (a *authority) queryOf(owner string, l leaf) Query {
	q := a.query(l)
	q.Owner = owner
	return q
}

// What one owner has learnt the next has to ask for himself: answers of any kind, and why there is none.
func TestEachOwnerAsksForHimself(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	gone, asked := ca.leaf(withCRL(crlURL)), ca.leaf(withOCSP(ocspURL))
	down, downOCSP := ca.leaf(withCRL(crlURL+"down")), ca.leaf(withOCSP(ocspURL+"down"))
	fetcher := &serves{answers: map[string][]byte{crlURL: ca.crl(nil, gone), ocspURL: ca.ocsp(asked, nil)}}
	c := NewChecker(Config{Fetcher: fetcher})
	for i, l := range []leaf{gone, asked, down, downOCSP} {
		for j, owner := range []string{ownerA, ownerB, ""} {
			for again := range 3 {
				r, said := explained(t, c, ca.queryOf(owner, l))
				require.EqualValues(t, 3*i+j+1, fetcher.fetches.Load(), "%d of %q, %d", i, owner, again)
				if i >= 2 {
					requireReason(t, badStatus, r, said)
					continue
				}
				require.Equal(t, []Outcome{Revoked, Good}[i], r.Outcome)
				require.Equal(t, again > 0, r.Source == Cache, "the report does not tell either")
			}
		}
	}
}

// The first answer for one owner and for the next say the same, in the same words.
func TestWhatOthersAskedIsNotInTheReport(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	c := NewChecker(Config{Fetcher: &serves{answers: map[string][]byte{crlURL: ca.crl(nil)}}})
	for _, l := range []leaf{ca.leaf(withCRL(crlURL)), ca.leaf(withCRL(crlURL + "down")), ca.leaf(withOCSP(ocspURL))} {
		a := c.Check(t.Context(), ca.queryOf(ownerA, l))
		require.NotEqual(t, a, c.Check(t.Context(), ca.queryOf(ownerA, l)), "the second time it is known")
		require.Equal(t, a, c.Check(t.Context(), ca.queryOf(ownerB, l)))
	}
}

// Nobody gets aboard another's fetch, and all questions of one owner share his.
func TestEachOwnerHasHisOwnFetch(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	l := ca.leaf(withCRL(crlURL))
	fetcher := newBlocking(ca.crl(nil))
	c := NewChecker(Config{Fetcher: fetcher})
	var all sync.WaitGroup
	const each = 10
	for range each {
		for _, owner := range []string{ownerA, ownerB} {
			all.Go(func() {
				r := c.Check(t.Context(), ca.queryOf(owner, l))[0]
				require.Equal(t, Good, r.Outcome, r.Detail)
				require.Equal(t, CRL, r.Source)
			})
		}
	}
	require.Eventually(t, func() bool {
		c.flights.mu.Lock()
		defer c.flights.mu.Unlock()
		waiting := make(map[string]int)
		for key, f := range c.flights.byKey {
			waiting[key.owner] += f.waiting
		}
		return len(c.flights.byKey) == 2 && waiting[ownerA] == each && waiting[ownerB] == each
	}, 10*time.Second, time.Millisecond)
	close(fetcher.release)
	all.Wait()
	require.EqualValues(t, 2, fetcher.fetches.Load())
}

// One who leaves ends his own fetch alone.
func TestOneWhoLeavesEndsNobodysFetch(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	l := ca.leaf(withCRL(crlURL))
	fetcher := newBlocking(ca.crl(nil))
	c := NewChecker(Config{Fetcher: fetcher})
	first, leave := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { require.Equal(t, NotChecked, c.Check(first, ca.queryOf(ownerA, l))[0].Outcome) })
	<-fetcher.started
	all.Go(func() { require.Equal(t, Good, c.Check(t.Context(), ca.queryOf(ownerB, l))[0].Outcome) })
	<-fetcher.started
	leave()
	require.Eventually(t, func() bool { return fetcher.left.Load() == 1 }, 10*time.Second, time.Millisecond)
	close(fetcher.release)
	all.Wait()
	require.EqualValues(t, 1, fetcher.left.Load())
}

// Whoever judges the dial of a fetch knows for whom it is; the server does not.
func TestFetcherKnowsForWhom(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	var mu sync.Mutex
	var heads []string
	list := ca.crl(nil)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var head strings.Builder
		_ = r.Header.Write(&head)
		mu.Lock()
		defer mu.Unlock()
		heads = append(heads, r.Method+r.RequestURI+head.String())
		_, _ = w.Write(list)
	}))
	t.Cleanup(srv.Close)
	var dialled []string
	c := NewChecker(Config{Fetcher: NewHTTPFetcher(func(ctx context.Context, network, addr string) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		dialled = append(dialled, OwnerOf(ctx))
		return new(net.Dialer).DialContext(ctx, network, addr)
	})})
	l := ca.leaf(withCRL(srv.URL + "/crl"))
	for _, owner := range []string{ownerA, ownerB, ""} {
		require.Equal(t, Good, c.Check(t.Context(), ca.queryOf(owner, l))[0].Outcome)
	}
	require.Equal(t, []string{ownerA, ownerB, ""}, dialled)
	require.Len(t, heads, 3)
	require.Len(t, slices.Compact(heads), 1, "nothing tells the server that it is not the first request")
	require.Empty(t, OwnerOf(t.Context()))
}
