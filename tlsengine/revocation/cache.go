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
	remembered    = 640      // bytes for what an entry costs beside its answer
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
	mu     sync.Mutex
	byKey  map[cacheKey]*cacheItem
	shelf  map[string]*shelf // of each owner of whom there is anything
	used   int
	ending ranking[*cacheItem] // first what ends first
	most   ranking[*shelf]     // first who has most
}

// shelf is what there is of one owner.
type shelf struct {
	owner string
	order list.List // of *cacheItem, last used first
	held  int       // of the cache's used
	rank  int       // among those who have most
}

func (s *shelf) before(o *shelf) bool { return s.held > o.held }
func (s *shelf) at(rank int)          { s.rank = rank }

type cacheItem struct {
	cached
	key         cacheKey
	from, until time.Time
	bytes       int           // of the answer; once it is in the cache, of all of it
	place       *list.Element // on its owner's shelf
	rank        int           // among those that end first
}

func (i *cacheItem) before(o *cacheItem) bool { return i.until.Before(o.until) }
func (i *cacheItem) at(rank int)              { i.rank = rank }

func (c *cache) get(key cacheKey, now time.Time) (cached, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	item, ok := c.byKey[key]
	if !ok || now.Before(item.from.Add(-clockSkew)) || !now.Before(item.until) {
		return cached{}, false
	}
	c.shelf[key.owner].order.MoveToFront(item.place)
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
		c.byKey, c.shelf = make(map[cacheKey]*cacheItem), make(map[string]*shelf)
	}
	if old, ok := c.byKey[item.key]; ok {
		c.removeLocked(old)
	}
	owner := item.key.owner
	if item.bytes += remembered + len(owner); item.bytes > maxCacheBytes {
		return
	}
	s := c.shelf[owner]
	if s == nil {
		s = &shelf{owner: owner}
		c.shelf[owner] = s
		c.most.add(s)
	}
	item.place = s.order.PushFront(item)
	c.byKey[item.key] = item
	c.ending.add(item)
	c.countLocked(s, item.bytes)
	c.makeRoomLocked(item.from)
}

// makeRoomLocked forgets what has ended, and then what whoever has most did not use for the longest time: there is too
// much, so he has more than his part. Neither has to be looked for, however much there is of others: an owner who puts one
// answer after the other into a full cache holds nobody up.
func (c *cache) makeRoomLocked(now time.Time) {
	for c.used > maxCacheBytes {
		item := c.ending.first()
		if now.Before(item.until) {
			item = c.most.first().order.Back().Value.(*cacheItem)
		}
		c.removeLocked(item)
	}
}

func (c *cache) removeLocked(item *cacheItem) {
	s := c.shelf[item.key.owner]
	s.order.Remove(item.place)
	delete(c.byKey, item.key)
	c.ending.remove(item.rank)
	c.countLocked(s, -item.bytes)
	if s.order.Len() == 0 {
		delete(c.shelf, s.owner)
		c.most.remove(s.rank)
	}
}

func (c *cache) countLocked(s *shelf, bytes int) {
	c.used += bytes
	s.held += bytes
	c.most.moved(s.rank)
}
