package revocation

import (
	"container/list"
	"crypto/sha256"
	"math/rand/v2"
	"sync"
	"time"
)

// answer is what was read and verified once, and is judged for each certificate and instant anew.
type answer interface {
	judge(s *subject, src source) (Result, error)
	ends() time.Time
	bytes() int
}

const (
	maxCacheBytes = 40 << 20 // with maxIndexBytes, 64 MiB in all
	remembered    = 512      // bytes for what an entry costs beside its answer
	negativeMin   = time.Minute
	negativeMax   = 5 * time.Minute
)

// cacheKey says who asked, who had to sign, and what was asked of whom.
type cacheKey struct {
	owner        string
	signer, what [sha256.Size]byte
	kind         Source
	isCA         bool              // CRLs grow old sooner for leaves
	failed       [sha256.Size]byte // of the URL, for why there is no answer from it; zero: for an answer
}

// key of all that a CRL says, or of an OCSP response.
func (s *subject) key(src source) cacheKey {
	if src.kind == OCSP {
		return cacheKey{owner: s.owner, signer: s.ocspIssuer, what: sha256.Sum256([]byte(s.serial)), kind: OCSP}
	}
	return cacheKey{
		owner: s.owner, signer: s.crlIssuer, what: sha256.Sum256([]byte(counted(src.url))), kind: CRL, isCA: s.isCA,
	}
}

// serialKey is that of what a CRL says about one certificate, where its index is too large to be kept.
func (s *subject) serialKey(src source) cacheKey {
	key := s.key(src)
	if src.kind == CRL {
		key.what = sha256.Sum256([]byte(counted(src.url) + s.serial))
	}
	return key
}

// failureKey is that of why a source has no answer. An OCSP response serves all who name any responder of the issuer, and
// the failure of one responder says nothing about the next.
func (s *subject) failureKey(src source) cacheKey {
	key := s.key(src)
	key.failed = sha256.Sum256([]byte(src.url))
	return key
}

// cached is an answer, or why there is none.
type cached struct {
	answer answer
	err    error
}

// cache keeps what was used last, within maxCacheBytes for all owners together. Each finds his own alone, and has an equal
// part of the room that nobody takes from him; what others leave free he may use as well. Its zero value is empty. Its clock
// is that of the queries: what one of them learnt is not known to those who judge by an earlier time.
type cache struct {
	mu    sync.Mutex
	byKey map[cacheKey]*list.Element
	order list.List // of *cacheItem, last used first
	used  int
	held  map[string]int // of used, by each owner of whom there is anything
}

type cacheItem struct {
	cached
	key         cacheKey
	from, until time.Time
	bytes       int // of the answer; once it is in the cache, of all of it
}

func (c *cache) get(key cacheKey, now time.Time) (cached, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.byKey[key]
	if !ok {
		return cached{}, false
	}
	item := at.Value.(*cacheItem)
	if now.Before(item.from.Add(-clockSkew)) || !now.Before(item.until) {
		return cached{}, false
	}
	c.order.MoveToFront(at)
	return item.cached, true
}

// remember keeps an answer until it ends, for seven days at most, and a little less, so that not all ask again at once.
func (c *cache) remember(key cacheKey, a answer, now time.Time) {
	left := min(a.ends().Sub(now), maxAge)
	if left <= 0 {
		return
	}
	left -= rand.N(left/10 + 1)
	c.put(&cacheItem{cached: cached{answer: a}, key: key, from: now, until: now.Add(left), bytes: a.bytes()})
}

// rememberNot keeps for some minutes why there is no answer.
func (c *cache) rememberNot(key cacheKey, why error, now time.Time) {
	length := negativeMin + rand.N(negativeMax-negativeMin)
	c.put(&cacheItem{cached: cached{err: why}, key: key, from: now, until: now.Add(length), bytes: len(why.Error())})
}

func (c *cache) put(item *cacheItem) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byKey == nil {
		c.byKey, c.held = make(map[cacheKey]*list.Element), make(map[string]int)
	}
	if at, ok := c.byKey[item.key]; ok {
		c.removeLocked(at)
	}
	if item.bytes += remembered + len(item.key.owner); item.bytes > maxCacheBytes {
		return
	}
	c.used += item.bytes
	c.held[item.key.owner] += item.bytes
	c.byKey[item.key] = c.order.PushFront(item)
	c.makeRoomLocked(item.from)
}

// makeRoomLocked forgets what has ended, and what is of owners with more than their part, beginning with what was not used
// for the longest time. One walk is enough: nobody's part becomes smaller by it.
func (c *cache) makeRoomLocked(now time.Time) {
	for at := c.order.Back(); c.used > maxCacheBytes; {
		item, newer := at.Value.(*cacheItem), at.Prev()
		if !now.Before(item.until) || c.held[item.key.owner] > maxCacheBytes/len(c.held) {
			c.removeLocked(at)
		}
		at = newer
	}
}

func (c *cache) removeLocked(at *list.Element) {
	item := c.order.Remove(at).(*cacheItem)
	c.used -= item.bytes
	if c.held[item.key.owner] -= item.bytes; c.held[item.key.owner] == 0 {
		delete(c.held, item.key.owner)
	}
	delete(c.byKey, item.key)
}
