package callers

import (
	"crypto/sha256"
	"sync"
	"time"
)

// maxKnown is how many verified tokens are remembered: some hundred bytes each.
const maxKnown = 4096

// known is a token that was verified.
type known struct {
	principal string
	at        time.Time // when it was verified
	until     time.Time
}

// stands is false when it is over, or the clock was set, so that it has to be verified again.
func (k known) stands(now time.Time) bool { return now.Before(k.until) && !wasSet(k.at, now) }

// jwtCache remembers verified tokens by their hash, as long as the keys are the
// same. What was refused is not remembered: it would let anybody fill the cache. Its
// zero value is empty.
type jwtCache struct {
	mu      sync.Mutex
	epoch   any // of the keys that verified what is in entries
	entries map[[sha256.Size]byte]known
}

func (c *jwtCache) get(epoch any, hash [sha256.Size]byte, now time.Time) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.epoch != epoch {
		c.epoch, c.entries = epoch, map[[sha256.Size]byte]known{}
		return "", false
	}
	k, ok := c.entries[hash]
	if ok && !k.stands(now) {
		delete(c.entries, hash)
		ok = false
	}
	return k.principal, ok
}

// put remembers a token, unless the keys have changed since epoch.
func (c *jwtCache) put(epoch any, hash [sha256.Size]byte, k known, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.epoch != epoch {
		return
	}
	if len(c.entries) >= maxKnown {
		c.makeRoomLocked(now)
	}
	c.entries[hash] = k
}

// makeRoomLocked drops what is over, and then whatever comes first up to an eighth,
// so that a full cache is not walked for every token.
func (c *jwtCache) makeRoomLocked(now time.Time) {
	for hash, k := range c.entries {
		if !k.stands(now) {
			delete(c.entries, hash)
		}
	}
	for hash := range c.entries {
		if len(c.entries) <= maxKnown-maxKnown/8 {
			return
		}
		delete(c.entries, hash)
	}
}
