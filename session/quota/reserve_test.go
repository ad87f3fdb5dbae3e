package quota

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheLastPartIsForWhoHoldsLittle(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ own, perOwner, total, want int64 }{
		"much":                          {44, 3024, 44_096, 41_340},
		"little":                        {43, 3024, 44_096, 44_096},
		"nothing yet":                   {1, 3024, 44_096, 44_096},
		"too little for a part":         {1, 4, 40, 40},
		"more than one of few":          {2, 4, 40, 38},
		"the least of which some is":    {2, 4, 16, 15},
		"nothing is kept of next to it": {2, 4, 15, 15},
		"one may hold it all":           {44, 44_096, 44_096, 44_096},
		"one may hold more than all":    {44, 50_000, 44_096, 44_096},
		"one may hold all but one":      {44, 44_095, 44_096, 44_095},
		"one may hold as much as all":   {44, 41_340, 44_096, 41_340},
		"one may hold one more":         {44, 41_341, 44_096, 41_341},
		"nothing at all":                {1, -1, 0, 0},
	} {
		require.Equal(t, tc.want, Room(tc.own, tc.perOwner, tc.total), name)
	}
}

func TestPoolLeavesRoomForNewcomers(t *testing.T) {
	t.Parallel()
	p := NewPool(PoolConfig{What: "things", PerOwner: 1024, Total: 4096})
	takes := func(owner string) (n int64) {
		for p.Acquire(owner, 1) == nil {
			n++
		}
		return n
	}
	for range 2 { // everything is given back
		for i, want := range []int64{1024, 1024, 1024, 768, 4, 4} {
			require.Equal(t, want, takes("greedy "+strconv.Itoa(i)))
		}
		require.Equal(t, Error{What: "things", Limit: 3840, Used: 3848}, *refused(t, p.Acquire("newcomer", 5)), "all at once are as many")
		for i := range 62 {
			require.Equal(t, int64(4), takes("newcomer "+strconv.Itoa(i)))
		}
		require.Equal(t, Error{What: "things", Limit: 4096, Used: 4096}, *refused(t, p.Acquire("last", 1)))
		p.Release("greedy 0", 256) // down to what is not kept
		require.Zero(t, takes("greedy 3"))
		p.Release("greedy 0", 1)
		require.Equal(t, int64(1), takes("greedy 3"))
		require.Equal(t, int64(4), takes("newcomer"))
		for i := range 6 {
			p.Release("greedy "+strconv.Itoa(i), 1024)
		}
		for i := range 62 {
			p.Release("newcomer "+strconv.Itoa(i), 4)
		}
		p.Release("newcomer", 4)
		require.Zero(t, p.Total())
		require.Zero(t, p.kept())
	}
}

// Who is alone has all that one owner may have, whatever the limits are.
func TestWhoIsAloneHasHisLimit(t *testing.T) {
	t.Parallel()
	for total := range 70 {
		for perOwner := range total + 2 {
			for own := 1; own <= min(perOwner, total); own++ {
				require.GreaterOrEqual(t, Room(own, perOwner, total), own, "the %d. of %d, of %d", own, perOwner, total)
			}
			require.LessOrEqual(t, Room(2, perOwner, total), total)
		}
	}
}
