package door

import (
	"net"
	"net/netip"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// nowhere is a connection that can be closed.
type nowhere struct{ net.Conn }

func (nowhere) Close() error { return nil }

// addressed is where a connection over TCP comes from.
func addressed(n int) source {
	return source{address: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 32)} //nolint:gosec // small
}

// TestTheCrowdIsItsModel: whatever comes, calls, is claimed and leaves in whatever order,
// who gives way is of a place that has most, and all counts are right.
func TestTheCrowdIsItsModel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(struct{ rapid.TB }{t}, crowdIsItsModel) // a bubble has no Deadline
	})
}

func crowdIsItsModel(t *rapid.T) {
	d := New(Config{
		Max: rapid.IntRange(1, 24).Draw(t, "max"), Unclaimed: rapid.IntRange(0, 12).Draw(t, "unclaimed"),
		PerAddress: rapid.IntRange(1, 6).Draw(t, "each"), Local: rapid.IntRange(1, 6).Draw(t, "local"),
	})
	var in []*Ticket
	some := func(t *rapid.T) *Ticket {
		if len(in) == 0 {
			t.Skip("nobody is there")
		}
		return in[rapid.IntRange(0, len(in)-1).Draw(t, "who")]
	}
	claims := 0
	t.Repeat(map[string]func(*rapid.T){
		"comes": func(t *rapid.T) {
			from := rapid.SampledFrom([]source{
				{uid: 1}, {uid: 2}, {uid: 3}, addressed(1), addressed(2), addressed(3), addressed(4), addressed(5),
			}).Draw(t, "from")
			before, most := map[source]int{}, map[bool]int{}
			for _, other := range in {
				if other.inAll != nil {
					before[other.source]++
					most[other.local()] = max(most[other.local()], before[other.source])
				}
			}
			came, gone, err := d.enterFrom(from, nowhere{})
			if err != nil {
				require.Nil(t, gone)
				return
			}
			in = append(in, came)
			if gone != nil {
				require.True(t, gone.left)
				require.Equal(t, most[gone.local()], before[gone.source], "nobody has waited for long enough")
				if gone.local() == from.local() {
					require.GreaterOrEqual(t, before[gone.source], before[from]+2)
				}
			}
		},
		"claims": func(t *rapid.T) {
			claims++
			_ = some(t).Claim(strconv.Itoa(claims))
		},
		"calls": func(t *rapid.T) {
			if leave, err := some(t).Visit(); err == nil {
				leave()
			}
		},
		"leaves": func(t *rapid.T) {
			gone := some(t)
			d.mu.Lock()
			gone.removeLocked()
			d.mu.Unlock()
		},
		"": func(t *rapid.T) {
			unclaimed, open := map[bool]int{}, 0
			each := map[source]int{}
			for _, other := range in {
				if !other.left {
					open++
				}
				if other.inAll != nil {
					unclaimed[other.local()]++
					each[other.source]++
				}
			}
			require.Equal(t, open, d.open)
			require.LessOrEqual(t, open, d.cfg.Max)
			require.LessOrEqual(t, d.unclaimed(), d.cfg.Unclaimed)
			require.Len(t, d.places, len(each))
			for local, c := range map[bool]*crowd{true: &d.local, false: &d.remote} {
				require.Equal(t, unclaimed[local], c.quiet.Len())
				most := 0
				for s, n := range each {
					if s.local() == local {
						most = max(most, n)
						require.Equal(t, n, d.places[s].len())
						require.LessOrEqual(t, n, map[bool]int{true: d.cfg.Local, false: d.perAddress()}[local])
					}
				}
				require.Equal(t, most, c.most)
				if first := c.biggest(); most > 0 {
					require.Equal(t, most, first.place.len())
				} else {
					require.Nil(t, first)
				}
			}
		},
	})
	for _, other := range in {
		other.timer.Stop()
	}
}

// TestALocalUserKeepsOutNoOther, if he takes all that he may over and over.
func TestALocalUserKeepsOutNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // who is quiet for a second gives way
		for _, unclaimed := range []int{2, 8, 1024} {
			d := New(Config{Unclaimed: unclaimed})
			comes := func(from source) bool {
				came, _, err := d.enterFrom(from, nowhere{})
				if err != nil {
					return false
				}
				t.Cleanup(func() { came.timer.Stop() })
				return true
			}
			for comes(source{uid: 1}) {
				continue
			}
			for i := range 2 * unclaimed {
				comes(addressed(i))
			}
			for range 3 {
				require.False(t, comes(source{uid: 1}))
			}
			require.True(t, comes(source{uid: 2}), "of %d", unclaimed)
			require.Equal(t, unclaimed > 8, comes(source{uid: 3}), "of %d", unclaimed)
		}
	})
}

// BenchmarkNewcomerOfAFlood is what a connection costs that others have to give way for.
func BenchmarkNewcomerOfAFlood(b *testing.B) {
	for _, unclaimed := range []int{1_000, 100_000} {
		b.Run(strconv.Itoa(unclaimed), func(b *testing.B) {
			d := New(Config{Max: 4 * unclaimed, UnclaimedTimeout: time.Hour})
			came := 0
			comes := func() {
				came++
				if t, _, err := d.enterFrom(addressed(came/3%unclaimed), nowhere{}); err == nil {
					b.Cleanup(func() { t.timer.Stop() })
				}
			}
			for range unclaimed {
				comes()
			}
			for b.Loop() {
				comes()
			}
		})
	}
}
