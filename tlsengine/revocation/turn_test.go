package revocation

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// turns are those of an owner.
type turns struct {
	free        chan struct{}
	held, taken atomic.Int32
}

func newTurns(n int) *turns { return &turns{free: make(chan struct{}, n)} }

func (s *turns) take(ctx context.Context) (func(), error) {
	select {
	case s.free <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	s.held.Add(1)
	s.taken.Add(1)
	return sync.OnceFunc(func() {
		s.held.Add(-1)
		<-s.free
	}), nil
}

// noTurns is an owner whose turns are all taken.
func noTurns(ctx context.Context) (func(), error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

// afterFirst leaves the first turn, which is for what is at hand, and refuses the rest.
func afterFirst(refuse func(context.Context) (func(), error)) func(context.Context) (func(), error) {
	var calls atomic.Int32
	return func(ctx context.Context) (func(), error) {
		if calls.Add(1) == 1 {
			return func() {}, nil
		}
		return refuse(ctx)
	}
}

// One turn is enough, it is not held while the network is waited for, and it is given back.
func TestTurnIsNotHeldWhileWaiting(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	l := ca.leaf(func(c *x509.Certificate) { c.CRLDistributionPoints, c.OCSPServer = []string{crlURL}, []string{ocspURL} })
	huge := &hugeCRL{ca: ca, entries: 20_000}
	turns := newTurns(1)
	wait := func(r io.Reader) io.Reader {
		return readerFunc(func(p []byte) (int, error) {
			require.Zero(t, turns.held.Load())
			return r.Read(p[:min(len(p), 1000)])
		})
	}
	c := NewChecker(Config{Fetcher: streaming(func(r Request) io.Reader {
		require.Zero(t, turns.held.Load())
		if r.URL == crlURL {
			return wait(io.LimitReader(huge, 300_000)) // it ends too early
		}
		return wait(bytes.NewReader(ca.ocsp(l, nil)))
	})})
	q := stapled(ca, l, []byte{1})
	q.CRLs, q.Turn = [][]byte{newAuthority(t).crl(nil), {1}}, turns.take
	r, said := explained(t, c, q)
	require.Equal(t, Good, r.Outcome, said)
	require.Zero(t, turns.held.Load())
	require.Greater(t, turns.taken.Load(), int32(300_000/maxElement))
	require.Less(t, turns.taken.Load(), int32(20), "a turn is good for more than a thousand bytes")
}

type streaming func(Request) io.Reader

func (s streaming) Fetch(_ context.Context, r Request) (io.ReadCloser, error) {
	return io.NopCloser(s(r)), nil
}

// Without a turn nothing is known, and nothing is held against the source.
func TestRefusedTurn(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	busy := func(context.Context) (func(), error) { return nil, errors.New("busy") }
	for _, l := range []leaf{ca.leaf(withCRL(crlURL)), ca.leaf(withOCSP(ocspURL))} {
		c := NewChecker(Config{Fetcher: &serves{answers: map[string][]byte{crlURL: ca.crl(nil), ocspURL: ca.ocsp(l, nil)}}})
		for _, refused := range []func(context.Context) (func(), error){busy, afterFirst(busy)} {
			q := ca.query(l)
			q.Turn = refused
			r, said := explained(t, c, q)
			requireReason(t, noTurn, r, said)
		}
		require.Equal(t, Good, c.Check(t.Context(), ca.query(l))[0].Outcome)
	}
	q := ca.query(ca.leaf(nil))
	q.CRLs, q.Turn = [][]byte{ca.crl(nil)}, afterFirst(busy)
	r, said := explained(t, nil, q)
	requireReason(t, noTurn, r, said)
}

// A source is not called slow because the turn was.
func TestSlowTurnIsNotTheSourcesFault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ca := newAuthority(t)
		l := ca.leaf(withCRL(crlURL))
		c := NewChecker(Config{Fetcher: &serves{answers: map[string][]byte{crlURL: ca.crl(nil)}}})
		q := ca.query(l)
		refused := afterFirst(noTurns)
		q.Turn = func(ctx context.Context) (func(), error) {
			done, err := refused(ctx)
			time.Sleep(time.Second) // so that the Check ends before the fetch that it starts
			return done, err
		}
		started := time.Now()
		r, said := explained(t, c, q)
		requireReason(t, noTurn, r, said)
		require.Equal(t, checkTimeout, time.Since(started))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Equal(t, Good, c.Check(t.Context(), ca.query(l))[0].Outcome)
	})
}

func TestLateTurnExcusesTheSource(t *testing.T) {
	t.Parallel()
	for _, err := range []error{noTime, fetchFailed, badSignature} {
		require.True(t, isNews(t.Context(), err, &turn{}))
	}
	late := &turn{lost: fetchTimeout - patience}
	require.False(t, isNews(t.Context(), noTime, late))
	require.False(t, isNews(t.Context(), fetchFailed, late))
	require.True(t, isNews(t.Context(), badSignature, late))
}

// One whose turns are all taken does not hold up others who want the same.
func TestStarvedStarterHoldsUpNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ca := newAuthority(t)
		l := ca.leaf(withCRL(crlURL))
		c := NewChecker(Config{Fetcher: &serves{answers: map[string][]byte{crlURL: ca.crl(nil)}}})
		var all sync.WaitGroup
		all.Go(func() {
			q := ca.query(l)
			q.Turn = afterFirst(noTurns)
			require.Equal(t, NotChecked, c.Check(t.Context(), q)[0].Outcome)
		})
		synctest.Wait()
		started := time.Now()
		for range 3 {
			all.Go(func() {
				r := c.Check(t.Context(), ca.query(l))[0]
				require.Equal(t, Good, r.Outcome, r.Detail)
				require.Less(t, time.Since(started), checkTimeout)
			})
		}
		all.Wait()
		require.Empty(t, c.flights.byKey)
	})
}
