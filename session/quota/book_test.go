package quota

import (
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestBookIsItsModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const idle = 10
		s := &newBook[int](idle).shards[0]
		type entry struct {
			owner   string
			touched int64
		}
		var listed []entry // oldest first
		held := map[string]bool{}
		var now int64
		owner := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"})
		unlist := func(o string) {
			listed = slices.DeleteFunc(listed, func(e entry) bool { return e.owner == o })
		}
		t.Repeat(map[string]func(*rapid.T){
			"touch": func(t *rapid.T) {
				now += rapid.Int64Range(0, 6).Draw(t, "later")
				o := owner.Draw(t, "owner")
				s.touch(s.page(o), now)
				unlist(o)
				delete(held, o)
				listed = append(listed, entry{o, now})
				for range 2 {
					if e := listed[0]; e.touched+idle <= now {
						listed = listed[1:]
					}
				}
			},
			"hold": func(t *rapid.T) {
				o := owner.Draw(t, "owner")
				s.hold(s.page(o))
				unlist(o)
				held[o] = true
			},
			"look": func(t *rapid.T) { s.page(owner.Draw(t, "owner")) },
			"": func(t *rapid.T) {
				var forth, back []entry
				for p := s.oldest; p != nil; p = p.newer {
					forth = append(forth, entry{p.owner, p.touched})
				}
				for p := s.newest; p != nil; p = p.older {
					back = append(back, entry{p.owner, p.touched})
				}
				slices.Reverse(back)
				require.True(t, slices.Equal(listed, forth))
				require.True(t, slices.Equal(listed, back))
				require.Len(t, s.pages, len(listed)+len(held))
			},
		})
	})
}

func TestAmountsAreWorthTheirTime(t *testing.T) {
	t.Parallel()
	second := bytePace(Limit{PerSecond: 1})
	require.Equal(t, farthest, second.worth(1<<64/1_000_000_000+1), "just beyond what can be divided")
	rapid.Check(t, func(t *rapid.T) {
		l := Limit{PerSecond: rapid.Int64Min(1).Draw(t, "rate"), Burst: rapid.Int64().Draw(t, "burst")}
		n := rapid.Int64Min(0).Draw(t, "n")
		p := bytePace(l)
		// n*10^9/rate, rounded up
		want := new(big.Int).Mul(big.NewInt(n), big.NewInt(1e9))
		want.Add(want, big.NewInt(l.PerSecond-1)).Div(want, big.NewInt(l.PerSecond))
		if want.Cmp(big.NewInt(farthest)) > 0 {
			want.SetInt64(farthest)
		}
		require.Equal(t, want.Int64(), p.worth(n))

		var b bucket
		require.Zero(t, b.used(&p, 0))
		require.Zero(t, b.take(&p, 0, 0))
		require.Zero(t, b.take(&p, 0, p.Burst))
		require.LessOrEqual(t, b.used(&p, 0), p.Burst)
	})
}
