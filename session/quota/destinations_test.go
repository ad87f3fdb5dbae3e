package quota

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestRecentIsItsModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 6).Draw(t, "limit")
		var r recent
		var model []sighting // oldest first
		var now int64
		t.Repeat(map[string]func(*rapid.T){
			"forget": func(t *rapid.T) {
				now += rapid.Int64Range(0, 5).Draw(t, "later")
				since := now - 6
				r.forget(since)
				model = slices.DeleteFunc(model, func(s sighting) bool { return s.at <= since })
			},
			"see": func(t *rapid.T) {
				key := rapid.Uint64Range(1, 12).Draw(t, "key")
				i := slices.IndexFunc(model, func(s sighting) bool { return s.key == key })
				require.Equal(t, i >= 0, r.see(key, now))
				if i >= 0 {
					model = slices.Delete(model, i, i+1)
				} else {
					r.add(key, now, limit)
					if len(model) == limit {
						model = model[1:]
					}
				}
				model = append(model, sighting{key: key, at: now})
			},
			"": func(t *rapid.T) {
				var have []sighting
				for i := r.oldest; i != 0; i = r.seen[i-1].newer {
					have = append(have, sighting{key: r.seen[i-1].key, at: r.seen[i-1].at})
				}
				require.True(t, slices.Equal(model, have))
				require.Len(t, r.places, len(model))
				require.LessOrEqual(t, len(r.seen), limit)
			},
		})
	})
}

func TestKnownDestinationsCostNothing(t *testing.T) {
	t.Parallel()
	h := newHand()
	d := NewDestinations(DestinationsConfig{PerOwner: Limit{PerSecond: 2, Burst: 3}, Total: Limit{PerSecond: 1000}, Now: h.now})
	for port := range 3 {
		require.NoError(t, d.Allow("a", "example.com", 443+port))
	}
	for i := range 100 {
		require.NoError(t, d.Allow("a", "example.com", 443+i%3))
	}
	for range 2 { // what is refused stays new
		e := refused(t, d.Allow("a", "example.org", 443))
		require.Equal(t, Error{What: "destinations", Caller: true, Limit: 2, Used: 3, RetryAfter: 500 * time.Millisecond}, *e)
	}
	require.NoError(t, d.Allow("b", "example.org", 443))

	h.advance(500 * time.Millisecond)
	require.NoError(t, d.Allow("a", "example.org", 443))

	// Each use renews the ten minutes.
	h.advance(10*time.Minute - 1)
	require.NoError(t, d.Allow("a", "example.org", 443))
	h.advance(time.Minute)
	for port := range 3 {
		require.NoError(t, d.Allow("a", "example.com", 443+port))
	}
	require.NoError(t, d.Allow("a", "example.org", 443))
	require.Error(t, d.Allow("a", "example.net", 443))
}

func TestDestinationsBeyondMemoryAreNewAgain(t *testing.T) {
	t.Parallel()
	h := newHand()
	d := NewDestinations(DestinationsConfig{PerOwner: Limit{PerSecond: 1, Burst: 5}, Total: Limit{PerSecond: 1000}, Keys: 2, Now: h.now})
	for port := range 4 {
		require.NoError(t, d.Allow("a", "h", port))
	}
	require.NoError(t, d.Allow("a", "h", 2))
	require.NoError(t, d.Allow("a", "h", 3))
	require.NoError(t, d.Allow("a", "h", 0)) // the last token
	require.NoError(t, d.Allow("a", "h", 3))
	require.Error(t, d.Allow("a", "h", 2))
}

func TestScanIsSuspected(t *testing.T) {
	t.Parallel()
	h := newHand()
	type suspicion struct {
		owner    string
		distinct int
	}
	var told []suspicion
	d := NewDestinations(DestinationsConfig{
		PerOwner: Limit{PerSecond: 10, Burst: 50}, Total: Limit{PerSecond: 1000}, Now: h.now,
		Suspect: func(owner string, distinct int) { told = append(told, suspicion{owner, distinct}) },
	})
	allowed := 0
	for port := range 1000 {
		if d.Allow("scanner", "10.0.0.1", port) == nil {
			allowed++
		}
		require.NoError(t, d.Allow("neighbour", "example.com", 443))
	}
	require.Equal(t, 50, allowed)
	require.Equal(t, []suspicion{{"scanner", 50}}, told)
	h.advance(time.Minute)
	for port := range 1000 {
		d.Allow("scanner", "10.0.0.2", port)
	}
	require.Equal(t, []suspicion{{"scanner", 50}, {"scanner", 100}}, told)
}

// What all use up together is nobody's scan, and is not anybody's memory.
func TestDestinationsOfAll(t *testing.T) {
	t.Parallel()
	h := newHand()
	suspected := 0
	d := NewDestinations(DestinationsConfig{
		PerOwner: Limit{PerSecond: 10}, Total: Limit{PerSecond: 20}, Now: h.now,
		Suspect: func(string, int) { suspected++ },
	})
	allowed := 0
	for i := range 100 {
		err := d.Allow("owner "+strconv.Itoa(i), "h", i)
		if err == nil {
			allowed++
			continue
		}
		require.False(t, refused(t, err).Caller)
	}
	require.Equal(t, 20, allowed)
	require.Zero(t, suspected)
	require.Equal(t, 20, kept(d.owners))

	refusing := NewDestinations(DestinationsConfig{Total: Limit{PerSecond: 20}, Suspect: func(string, int) { suspected++ }})
	require.True(t, refused(t, refusing.Allow("a", "h", 1)).Caller)
	require.Zero(t, kept(refusing.owners))
	require.Zero(t, suspected)
}

func TestDestinationsUnderStorm(t *testing.T) {
	t.Parallel()
	d := NewDestinations(DestinationsConfig{
		PerOwner: Limit{PerSecond: 1e6}, Total: Limit{PerSecond: 1e6}, Window: time.Nanosecond, Keys: 8,
		Suspect: func(string, int) {},
	})
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				d.Allow(fmt.Sprint(worker%3, i%50), "h", i%20)
			}
		})
	}
	wg.Wait()
	require.LessOrEqual(t, kept(d.owners), 150)
}

// An owner who only ever returns to where he was is not forgotten for it.
func TestDestinationsRememberWhoReturns(t *testing.T) {
	t.Parallel()
	h := newHand()
	d := NewDestinations(DestinationsConfig{PerOwner: Limit{PerSecond: 1, Burst: 1}, Total: Limit{PerSecond: 1e6}, Now: h.now})
	require.NoError(t, d.Allow("a", "h", 1))
	first := d.owners.shard("a").pages["a"]
	for i := range 30 {
		h.advance(time.Minute)
		for other := range 4 * shardCount {
			require.NoError(t, d.Allow(fmt.Sprint("other ", i, other), "h", 1))
		}
		require.NoError(t, d.Allow("a", "h", 1))
	}
	require.Same(t, first, d.owners.shard("a").pages["a"])
	require.Less(t, kept(d.owners), 30*4*shardCount/2)
}

func TestDestinationsByDefault(t *testing.T) {
	t.Parallel()
	h := newHand()
	plenty := Limit{PerSecond: 1, Burst: 4097}
	d := NewDestinations(DestinationsConfig{PerOwner: plenty, Total: Limit{PerSecond: 1e6}, Now: h.now})
	for port := range 4096 {
		require.NoError(t, d.Allow("a", "h", port))
		require.NoError(t, d.Allow("b", "h", port))
	}
	require.NoError(t, d.Allow("a", "h", 0), "so many are remembered")
	require.NoError(t, d.Allow("a", "other", 1))
	require.Error(t, d.Allow("a", "h", 1), "but not one more")

	h.advance(10 * time.Minute)
	for port := range 601 { // what comes in as many seconds, and the one that was left
		require.NoError(t, d.Allow("b", "h", port))
	}
	require.Error(t, d.Allow("b", "h", 601), "they are new again")
}

// Who is suspected is remembered for as long as he is not to be suspected again, even if he
// has not been anywhere for longer.
func TestScanIsSuspectedOnceAMinute(t *testing.T) {
	t.Parallel()
	h := newHand()
	var told []int
	d := NewDestinations(DestinationsConfig{
		PerOwner: Limit{PerSecond: 1, Burst: 2}, Total: Limit{PerSecond: 1e6}, Window: 100 * time.Millisecond, Now: h.now,
		Suspect: func(_ string, distinct int) { told = append(told, distinct) },
	})
	scan := func() {
		for port := range 10 {
			d.Allow("scanner", "h", port)
		}
	}
	scan()
	h.advance(900 * time.Millisecond)
	scan()
	require.Equal(t, []int{2}, told)
	d.Allow("late", "h", 1)
	d.Allow("late", "h", 2)
	h.advance(900 * time.Millisecond)
	require.Error(t, d.Allow("late", "h", 3))
	require.Equal(t, []int{2, 0}, told, "where he was is forgotten by now")
	for range 3 { // until a minute after he was anywhere, and others push out who may be forgotten
		h.advance(19_700 * time.Millisecond)
		for other := range 8 * shardCount {
			d.Allow(strconv.Itoa(other), "h", 1)
		}
	}
	for port := range 10 {
		d.Allow("late", "h", port)
	}
	require.Equal(t, []int{2, 0}, told)
	h.advance(900 * time.Millisecond)
	for port := range 10 {
		d.Allow("late", "x", port)
	}
	require.Equal(t, []int{2, 0}, told[:2])
	require.Len(t, told, 3)
}

func TestWhatIsForgottenTakesNoMemory(t *testing.T) {
	t.Parallel()
	var r recent
	for key := range uint64(100) {
		r.add(key, int64(key), 1000)
	}
	r.forget(98)
	require.NotZero(t, cap(r.seen))
	r.forget(99)
	require.Equal(t, recent{}, r)
}
