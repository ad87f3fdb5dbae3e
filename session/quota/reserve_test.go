package quota

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheLastPartIsForWhoHoldsLittle(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ own, total, want int64 }{
		"much":                       {44, 44_096, 41_340},
		"little":                     {43, 44_096, 44_096},
		"nothing yet":                {1, 44_096, 44_096},
		"too little for a part":      {1, 40, 40},
		"more than one of few":       {2, 40, 38},
		"the least with a sixteenth": {2, 16, 15},
		"one is kept of fewer":       {2, 15, 14},
		"one of four":                {2, 4, 3},
		"the last but one of four":   {3, 4, 3},
		"nothing is kept of three":   {2, 3, 3},
		"who is alone has it all":    {44_096, 44_096, 44_096},
		"of few too":                 {4, 4, 4},
		"who has all that is shared": {41_340, 44_096, 41_340},
		"and who has one more":       {41_341, 44_096, 41_341},
		"more than all":              {44_097, 44_096, 44_096},
		"nothing at all":             {1, 0, 0},
	} {
		require.Equal(t, tc.want, Room(tc.own, tc.total), name)
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

// Who is alone has all that one owner may have, whatever the limits are; of four things or
// more, others who take what they can leave one to who comes last.
func TestWhoIsAloneHasHisLimit(t *testing.T) {
	t.Parallel()
	for total := range int64(70) {
		for perOwner := int64(1); perOwner <= total; perOwner++ {
			p := NewPool(PoolConfig{What: "things", PerOwner: perOwner, Total: total})
			for range perOwner {
				require.NoError(t, p.Acquire("alone", 1), "%d of %d", perOwner, total)
			}
			p.Release("alone", perOwner)
			for p.Acquire("a", 1) == nil && p.Acquire("b", 1) == nil {
				continue
			}
			if total >= 4 && perOwner < total {
				require.NoError(t, p.Acquire("newcomer", 1), "%d of %d", perOwner, total)
			}
		}
	}
}
