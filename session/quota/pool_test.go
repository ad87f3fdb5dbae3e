package quota

import (
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
				limit := cfg.Total
				if limit > cfg.PerOwner && limit >= 4 && n > 1-model[o] { // beyond the one that everybody may have
					limit--
				}
				switch {
				case n <= 0:
					require.NoError(t, err)
				case n > cfg.PerOwner-model[o]:
					require.Equal(t, Error{What: "things", Caller: true, Limit: cfg.PerOwner, Used: model[o]}, *refused(t, err))
				case n > limit-total:
					require.Equal(t, Error{What: "things", Limit: limit, Used: total}, *refused(t, err))
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
	p := NewPool(PoolConfig{PerOwner: 5, Total: 11}) // one is for who comes last
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
