package quota

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// grant is what was allowed, and when.
type grant struct {
	at time.Time
	n  int64
}

// within fails where more was granted in some time than the limit allows.
func within(t require.TestingT, l Limit, grants []grant) {
	for first := range grants {
		var sum int64
		for _, g := range grants[first:] {
			sum += g.n
			// sum <= burst + rate*time, without rounding
			passed := int64(g.at.Sub(grants[first].at))
			require.LessOrEqual(t, (sum-l.Burst)*int64(time.Second), passed*l.PerSecond)
		}
	}
}

func TestRateIsNeverExceeded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Custom(func(t *rapid.T) Limit {
			return Limit{PerSecond: rapid.Int64Range(1, 2000).Draw(t, "rate"), Burst: rapid.Int64Range(1, 20).Draw(t, "burst")}
		})
		each, all := limit.Draw(t, "each"), limit.Draw(t, "all")
		h := newHand()
		r := NewRate(RateConfig{What: "attaches", PerOwner: each, Total: all, Now: h.now})
		grants, everybody := map[string][]grant{}, []grant(nil)
		t.Repeat(map[string]func(*rapid.T){
			"advance": func(t *rapid.T) {
				h.advance(time.Duration(rapid.Int64Range(0, int64(time.Second)/each.PerSecond*3).Draw(t, "ns")))
			},
			"allow": func(t *rapid.T) {
				owner, n := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "owner"), rapid.Int64Range(1, 22).Draw(t, "n")
				err := r.Allow(owner, n)
				if n > each.Burst || n > all.Burst {
					require.Zero(t, refused(t, err).RetryAfter)
					return
				}
				if err != nil {
					// A nanosecond before the time is too early, the time itself is not.
					e := refused(t, err)
					require.Positive(t, e.RetryAfter)
					h.advance(e.RetryAfter - 1)
					require.Error(t, r.Allow(owner, n))
					h.advance(1)
					require.NoError(t, r.Allow(owner, n))
				}
				grants[owner] = append(grants[owner], grant{h.at, n})
				everybody = append(everybody, grant{h.at, n})
			},
		})
		for _, g := range grants {
			within(t, each, g)
		}
		within(t, all, everybody)
	})
}

func TestRateGrantsTheWholeBurst(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := Limit{PerSecond: rapid.Int64Range(1, 1e6).Draw(t, "rate"), Burst: rapid.Int64Range(1, 300).Draw(t, "burst")}
		h := newHand()
		r := NewRate(RateConfig{PerOwner: l, Total: Limit{PerSecond: 1e9}, Now: h.now})
		for range l.Burst {
			require.NoError(t, r.Allow("a", 1))
		}
		e := refused(t, r.Allow("a", 1))
		require.True(t, e.Caller)
		require.Equal(t, l.PerSecond, e.Limit)
		require.Equal(t, l.Burst, e.Used)
	})
}

func TestRateForgetsWhoIsIdle(t *testing.T) {
	t.Parallel()
	h := newHand()
	r := NewRate(RateConfig{PerOwner: Limit{PerSecond: 1, Burst: 10}, Total: Limit{PerSecond: 1e6}, Now: h.now})
	for i := range 10_000 {
		require.NoError(t, r.Allow(strconv.Itoa(i), 1))
	}
	require.Equal(t, 10_000, kept(r.owners))
	h.advance(10 * time.Second)
	for i := range 10_000 { // others call, and each takes two with him
		require.NoError(t, r.Allow("new "+strconv.Itoa(i), 1))
	}
	require.LessOrEqual(t, kept(r.owners), 10_000+shardCount)
	h.advance(10 * time.Second)
	for i := range 256 * shardCount {
		require.NoError(t, r.Allow("later "+strconv.Itoa(i), 1))
		h.advance(time.Second)
	}
	require.LessOrEqual(t, kept(r.owners), 2*shardCount)
}

// Whoever is refused for everybody's sake keeps what is his, and is not remembered.
func TestRateRefusedForAll(t *testing.T) {
	t.Parallel()
	h := newHand()
	r := NewRate(RateConfig{PerOwner: Limit{PerSecond: 1, Burst: 2}, Total: Limit{PerSecond: 1, Burst: 2}, Now: h.now})
	require.NoError(t, r.Allow("a", 2))
	for range 5 {
		e := refused(t, r.Allow("b", 1))
		require.False(t, e.Caller)
		require.Equal(t, time.Second, e.RetryAfter)
	}
	require.Equal(t, 1, kept(r.owners))
	h.advance(2 * time.Second)
	require.NoError(t, r.Allow("b", 2))
}

func TestRateWithoutLimitLetsNothingThrough(t *testing.T) {
	t.Parallel()
	some := Limit{PerSecond: 1}
	require.True(t, refused(t, NewRate(RateConfig{Total: some}).Allow("a", 1)).Caller)
	require.False(t, refused(t, NewRate(RateConfig{PerOwner: some}).Allow("a", 1)).Caller)
	require.NoError(t, NewRate(RateConfig{}).Allow("a", 0))
}

func TestRateUnderStorm(t *testing.T) {
	t.Parallel()
	h := newHand() // it stands still, so that exactly the bursts are there
	r := NewRate(RateConfig{PerOwner: Limit{PerSecond: 1, Burst: 300}, Total: Limit{PerSecond: 1, Burst: 1000}, Now: h.now})
	var allowed [5]atomic.Int64
	var wg sync.WaitGroup
	for worker := range 15 {
		wg.Go(func() {
			for range 500 {
				if r.Allow(strconv.Itoa(worker%5), 1) == nil {
					allowed[worker%5].Add(1)
				}
			}
		})
	}
	wg.Wait()
	var sum int64
	for i := range allowed {
		require.LessOrEqual(t, allowed[i].Load(), int64(300))
		sum += allowed[i].Load()
	}
	require.Equal(t, int64(1000), sum)
}
