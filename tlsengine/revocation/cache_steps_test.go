package revocation

import (
	"fmt"
	"math/bits"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// crowded is a full cache, of which others have n answers and half of the room, and ownerA the rest.
func crowded(n int, now time.Time) *cache {
	c := new(cache)
	size := maxCacheBytes/2/n - remembered - len("neighbour 000000")
	for i := range n {
		c.remember(keyOf(fmt.Sprintf("neighbour %06d", i%(n/16)), i), weight(size), now)
	}
	for i := 0; c.used < maxCacheBytes-(1<<10); i++ {
		c.remember(keyOf(ownerA, -2-i), weight(0), now)
	}
	return c
}

// An owner who is over his part looks at his own answers alone when he makes room: what another one costs him grows with
// the logarithm of how many there are of others.
func TestRoomIsMadeWithoutAWalk(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, others := range []int{16, 256, 4096, 32_768} {
		c := crowded(others, now)
		before, rounds := c.ending.heap.steps+c.most.heap.steps, 1000
		for i := range rounds {
			c.remember(keyOf(ownerA, i), weight(1<<10), now)
		}
		requireWhole(t, c)
		require.LessOrEqual(t, c.used, maxCacheBytes)
		for i := range others {
			_, ok := c.get(keyOf(fmt.Sprintf("neighbour %06d", i%(others/16)), i), now)
			require.True(t, ok, "each neighbour has less than his part")
		}
		steps := (c.ending.heap.steps + c.most.heap.steps - before) / rounds
		t.Logf("%d answers of others: %d steps for each new one", others, steps)
		require.LessOrEqual(t, steps, 2*bits.Len(uint(len(c.byKey)+rounds)))
	}
}

func BenchmarkRoomIsMade(b *testing.B) {
	now := time.Now()
	for _, others := range []int{256, 32_768} {
		b.Run(fmt.Sprintf("others=%d", others), func(b *testing.B) {
			c := crowded(others, now)
			i := 0
			for b.Loop() {
				c.remember(keyOf(ownerA, i), weight(1<<10), now)
				i++
			}
		})
	}
}
