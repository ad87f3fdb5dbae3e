package revocation

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A source that never answers costs five seconds, once.
func TestSilentSourceIsLeftAfterFiveSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ca := newAuthority(t)
		var asked atomic.Int32
		c := NewChecker(Config{Fetcher: fetcherFunc(func(ctx context.Context, _ Request) ([]byte, error) {
			asked.Add(1)
			<-ctx.Done()
			return nil, ctx.Err()
		})})
		for _, took := range []time.Duration{checkTimeout, 0} {
			started := time.Now()
			r := c.Check(t.Context(), ca.query(ca.leaf(withCRL(crlURL))))[0]
			require.Equal(t, NotChecked, r.Outcome)
			require.Equal(t, took, time.Since(started))
			synctest.Wait()
		}
		require.EqualValues(t, 1, asked.Load())
	})
}

// What had little of the time is not called slow.
func TestSourceThatHadNoTimeIsAskedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ca := newAuthority(t)
		l := ca.leaf(withCRL(crlURL, crlURL+"2"))
		c := NewChecker(Config{Fetcher: fetcherFunc(func(ctx context.Context, r Request) ([]byte, error) {
			if r.URL == crlURL {
				time.Sleep(4 * time.Second)
				return nil, badStatus
			}
			select {
			case <-time.After(3 * time.Second):
				return ca.crl(nil), nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		})})
		require.Equal(t, NotChecked, c.Check(t.Context(), ca.query(l))[0].Outcome)
		synctest.Wait()
		r := c.Check(t.Context(), ca.query(l))[0]
		require.Equal(t, Good, r.Outcome, r.Detail)
	})
}

func TestConnectingEndsAfterTwoSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		started := time.Now()
		_, err := NewHTTPFetcher(silentDial).Fetch(t.Context(), Request{URL: "http://silent.test/", MaxBytes: 1})
		require.ErrorIs(t, err, noTime)
		require.Equal(t, connectTimeout, time.Since(started))
	})
}
