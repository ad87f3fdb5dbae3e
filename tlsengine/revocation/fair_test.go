package revocation

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Threat 56. Ten thousand URLs of one owner, more than the cache holds, push nothing of his neighbour's out.
func TestThreat56ManyURLs(t *testing.T) {
	t.Parallel()
	const urls, heavy = 10_000, 16 << 10
	ca := newAuthority(t)
	fetcher := &serves{answers: map[string][]byte{crlURL: ca.crl(nil)}}
	c := NewChecker(Config{Fetcher: fetcher})
	quiet := []leaf{ca.leaf(withCRL(crlURL)), ca.leaf(withOCSP(ocspURL))}
	for _, l := range quiet {
		explained(t, c, ca.queryOf(ownerB, l))
	}
	require.EqualValues(t, len(quiet), fetcher.fetches.Load())

	s, err := newSubject(ca.query(ca.leaf(withCRL(crlURL))).Chain, 0, ca.now)
	require.NoError(t, err)
	s.owner = ownerA
	key := func(i int) cacheKey { return s.key(source{CRL, fmt.Sprintf("%s?%d", crlURL, i)}) }
	for i := range urls {
		c.cache.remember(key(i), weight(heavy), ca.now)
	}
	require.LessOrEqual(t, c.cache.used, maxCacheBytes)
	_, ok := c.cache.get(key(0), ca.now)
	require.False(t, ok, "the cache was full")
	_, ok = c.cache.get(key(urls-1), ca.now)
	require.True(t, ok)
	for _, l := range quiet {
		explained(t, c, ca.queryOf(ownerB, l))
	}
	require.EqualValues(t, len(quiet), fetcher.fetches.Load(), "nothing was asked again")
}

// keyOf is the key of one of an owner's answers.
func keyOf(owner string, i int) (k cacheKey) {
	k.owner = owner
	binary.BigEndian.PutUint64(k.what[:], uint64(i)+1)
	return k
}

// Whoever keeps to his part loses nothing, whatever the others do; who has more loses what he used least. In all there is
// never more than the bound.
func TestCacheIsFair(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var c cache
		now := time.Now()
		const quiet = "quiet"
		var mine []int
		owners := []string{"a", "b", "c"}
		const part = maxCacheBytes / 4 // of four
		for left, i := part, 0; ; i++ {
			size := rapid.IntRange(512<<10, 4<<20).Draw(t, "mine")
			if left -= size + remembered + len(quiet); left < 0 {
				break
			}
			c.remember(keyOf(quiet, i), weight(size), now)
			mine = append(mine, i)
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				owner := rapid.SampledFrom(owners).Draw(t, "owner")
				key := keyOf(owner, rapid.IntRange(0, 40).Draw(t, "key"))
				c.remember(key, weight(rapid.IntRange(0, 12<<20).Draw(t, "size")), now)
			},
			"get": func(t *rapid.T) {
				c.get(keyOf(rapid.SampledFrom(owners).Draw(t, "owner"), rapid.IntRange(0, 40).Draw(t, "key")), now)
			},
			"": func(t *rapid.T) {
				require.LessOrEqual(t, c.used, maxCacheBytes)
				requireWhole(t, &c)
				for _, i := range mine {
					require.NotNil(t, c.byKey[keyOf(quiet, i)], "of %v", mine)
				}
			},
		})
	})
}

// requireWhole wants every part of the cache to say the same of what is in it.
func requireWhole(t require.TestingT, c *cache) {
	used, items := 0, 0
	for owner, s := range c.shelf {
		held := 0
		for at := s.order.Front(); at != nil; at = at.Next() {
			item := at.Value.(*cacheItem)
			require.Equal(t, owner, item.key.owner)
			require.True(t, at == item.place && item == c.byKey[item.key] && item == c.ending.heap.of[item.rank])
			held += item.bytes
			items++
		}
		require.Positive(t, held)
		require.Equal(t, held, s.held)
		require.True(t, s == c.most.heap.of[s.rank] && s.held <= c.most.first().held)
		used += held
	}
	require.Equal(t, used, c.used)
	require.Len(t, c.byKey, items)
	require.Len(t, c.ending.heap.of, items)
	require.Len(t, c.most.heap.of, len(c.shelf))
	for _, item := range c.byKey {
		require.False(t, item.until.Before(c.ending.first().until))
	}
}

// Those who have gone make room for one who has come: what they hold beyond their part, and whatever has ended.
func TestCacheForgetsWhoHasGone(t *testing.T) {
	t.Parallel()
	const each = 39
	var c cache
	now := time.Now()
	for i := range each {
		c.remember(keyOf(fmt.Sprint("gone", i), 0), weight(1<<20-8<<10), now)
	}
	require.Len(t, c.shelf, each)
	later := now.Add(time.Minute)
	c.remember(keyOf(ownerB, 0), weight(2<<20), later)
	_, ok := c.get(keyOf(ownerB, 0), later)
	require.False(t, ok, "all others have their part, and he wants more than his")
	later = now.Add(2 * time.Hour)
	for i := range 30 {
		c.put(&cacheItem{cached: cached{answer: weight(0)}, key: keyOf(ownerB, i), from: later, until: later.Add(time.Hour), bytes: 1 << 20})
		_, ok := c.get(keyOf(ownerB, 0), later)
		require.True(t, ok)
	}
	require.LessOrEqual(t, c.used, maxCacheBytes)
}

// The room for lists that are being read is never all of one owner.
func TestRoomOfAnOwner(t *testing.T) {
	t.Parallel()
	var b budget
	x, y, z := &room{&b, ownerA}, &room{&b, ownerB}, &room{&b, "user:c"}
	n := 0
	for x.take(chunkBytes) {
		n += chunkBytes
	}
	require.LessOrEqual(t, n, maxOwnerBytes)
	require.Greater(t, n+chunkBytes, maxOwnerBytes)
	require.True(t, y.take(maxOwnerBytes))
	require.False(t, z.take(chunkBytes), "the bound in all")
	y.give(maxOwnerBytes)
	require.True(t, z.take(chunkBytes))
	require.False(t, (&room{&b, ownerA}).take(chunkBytes), "whichever of his lists it is")
	x.give(n)
	z.give(chunkBytes)
	require.Zero(t, b.used)
	require.Empty(t, b.held)
}

// While one owner reads lists without end, another's list is kept all the same.
func TestRoomIsLeftForOthers(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	gone, here := ca.leaf(withCRL(crlURL)), ca.leaf(withCRL(crlURL))
	fetcher := &serves{answers: map[string][]byte{crlURL: ca.crl(nil, gone)}}
	c := NewChecker(Config{Fetcher: fetcher})
	for greedy := (&room{&c.indexes, ownerA}); greedy.take(chunkBytes); {
	}
	for l, want := range map[leaf]Outcome{gone: Revoked, here: Good} {
		require.Equal(t, want, c.Check(t.Context(), ca.queryOf(ownerB, l))[0].Outcome)
	}
	require.EqualValues(t, 1, fetcher.fetches.Load())
}
