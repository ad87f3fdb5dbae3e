package quota

import (
	"errors"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestPoolIsItsModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cfg := PoolConfig{What: "things", PerOwner: rapid.Int64Range(-1, 12).Draw(t, "each"), Total: rapid.Int64Range(-1, 30).Draw(t, "all")}
		p := NewPool(cfg)
		model, total := map[string]int64{}, int64(0)
		owner := rapid.SampledFrom([]string{"", "a", "b", "c", "d"})
		amount := rapid.OneOf(rapid.Int64Range(-2, 9), rapid.Just(int64(math.MaxInt64)), rapid.Just(int64(math.MinInt64)))
		t.Repeat(map[string]func(*rapid.T){
			"acquire": func(t *rapid.T) {
				o, n := owner.Draw(t, "owner"), amount.Draw(t, "n")
				err := p.Acquire(o, n)
				switch {
				case n <= 0:
					require.NoError(t, err)
				case n > cfg.PerOwner-model[o]:
					require.Equal(t, Error{What: "things", Caller: true, Limit: cfg.PerOwner, Used: model[o]}, *refused(t, err))
				case n > cfg.Total-total:
					require.Equal(t, Error{What: "things", Limit: cfg.Total, Used: total}, *refused(t, err))
				default:
					require.NoError(t, err)
					model[o] += n
					total += n
				}
			},
			"release": func(t *rapid.T) {
				o, n := owner.Draw(t, "owner"), amount.Draw(t, "n")
				p.Release(o, n)
				n = max(min(n, model[o]), 0)
				model[o] -= n
				total -= n
			},
			"": func(t *rapid.T) {
				holders := 0
				for o, n := range model {
					require.Equal(t, n, p.Used(o))
					if n > 0 {
						holders++
					}
				}
				require.Equal(t, total, p.Total())
				require.Equal(t, holders, p.kept())
			},
		})
	})
}

func TestPoolUnderStorm(t *testing.T) {
	t.Parallel()
	const perOwner, limit = 7, 20
	p := NewPool(PoolConfig{PerOwner: perOwner, Total: limit})
	var granted, over atomic.Int64
	var wg sync.WaitGroup
	for worker := range 16 {
		wg.Go(func() {
			owner := strconv.Itoa(worker % 5)
			for i := range 2000 {
				n := int64(i%4 + 1)
				if p.Acquire(owner, n) != nil {
					continue
				}
				granted.Add(1)
				if p.Used(owner) > perOwner || p.Total() > limit {
					over.Add(1)
				}
				p.Release(owner, n)
			}
		})
	}
	wg.Wait()
	require.Positive(t, granted.Load())
	require.Zero(t, over.Load())
	require.Zero(t, p.Total())
	require.Zero(t, p.kept())
}

// A neighbour's refusals take nothing, not even for a moment: what is left for all
// is always granted to the one who is within his limits.
func TestPoolRefusalsDisturbNobody(t *testing.T) {
	t.Parallel()
	p := NewPool(PoolConfig{PerOwner: 5, Total: 10})
	require.NoError(t, p.Acquire("greedy", 5))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					p.Acquire("greedy", 5)
				}
			}
		})
	}
	var failed int
	for range 5000 {
		if p.Acquire("modest", 5) != nil {
			failed++
			continue
		}
		p.Release("modest", 5)
	}
	close(stop)
	wg.Wait()
	require.Zero(t, failed)
}

func TestLeaseIsItsModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := NewPool(PoolConfig{PerOwner: 20, Total: 30})
		leases := []*Lease{p.Lease("a"), p.Lease("a"), p.Lease("b"), p.Lease("c")}
		held, closed := make([]int64, len(leases)), make([]bool, len(leases))
		t.Repeat(map[string]func(*rapid.T){
			"resize": func(t *rapid.T) {
				i, n := rapid.IntRange(0, len(leases)-1).Draw(t, "lease"), rapid.Int64Range(-3, 25).Draw(t, "n")
				err := leases[i].Resize(n)
				n = max(n, 0)
				switch {
				case closed[i] && n > 0:
					require.ErrorIs(t, err, ErrClosed)
				case n <= held[i]:
					require.NoError(t, err)
					held[i] = n
				case err == nil:
					held[i] = n
				default:
					refused(t, err)
				}
			},
			"close": func(t *rapid.T) {
				i := rapid.IntRange(0, len(leases)-1).Draw(t, "lease")
				leases[i].Close()
				held[i], closed[i] = 0, true
			},
			"": func(t *rapid.T) {
				var total int64
				for i, l := range leases {
					require.Equal(t, held[i], l.Held())
					total += held[i]
				}
				require.Equal(t, total, p.Total())
				require.Equal(t, held[0]+held[1], p.Used("a"))
				require.LessOrEqual(t, p.Used("a"), int64(20))
				require.LessOrEqual(t, total, int64(30))
			},
		})
		for _, l := range leases {
			l.Close()
		}
		require.Zero(t, p.kept())
	})
}

func TestLeaseClosedWhileItGrows(t *testing.T) {
	t.Parallel()
	p := NewPool(PoolConfig{PerOwner: 100, Total: 100})
	for range 200 {
		l := p.Lease("a")
		var wg sync.WaitGroup
		var unexpected atomic.Int64
		for n := range int64(4) {
			wg.Go(func() {
				if err := l.Resize(n + 1); err != nil && !errors.Is(err, ErrClosed) {
					unexpected.Add(1)
				}
			})
		}
		wg.Go(l.Close)
		wg.Wait()
		require.Zero(t, unexpected.Load())
		require.Zero(t, p.Total())
	}
}
