package quota

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// PoolConfig says what a Pool counts and how much of it there is.
type PoolConfig struct {
	What     string // names it in an Error
	PerOwner int64  // that one owner may hold
	Total    int64  // that all may hold together
}

// Pool counts what owners hold of something there is a limited amount of. It never
// counts more than its limits.
type Pool struct {
	cfg   PoolConfig
	seed  maphash.Seed
	total atomic.Int64

	shards [shardCount]poolShard
}

type poolShard struct {
	mu   sync.Mutex
	used map[string]int64 // without those who hold nothing
	_    [48]byte         // a neighbour's lock is not on this cache line
}

// NewPool returns a Pool of which nothing is held.
func NewPool(cfg PoolConfig) *Pool {
	p := &Pool{cfg: cfg, seed: maphash.MakeSeed()}
	for i := range p.shards {
		p.shards[i].used = make(map[string]int64)
	}
	return p
}

func (p *Pool) shard(owner string) *poolShard {
	return &p.shards[maphash.String(p.seed, owner)%shardCount]
}

// Acquire takes n for an owner: all of it, or nothing and an [Error]; see [Room]. An n
// of 0 or less takes nothing.
func (p *Pool) Acquire(owner string, n int64) error { return p.acquire(owner, n, p.cfg.Total) }

// acquire is Acquire with another limit in all.
func (p *Pool) acquire(owner string, n, limit int64) error {
	if n <= 0 {
		return nil
	}
	s := p.shard(owner)
	s.mu.Lock()
	defer s.mu.Unlock()
	used := s.used[owner]
	// The owner's own limit comes first, so that whoever is beyond it takes nothing
	// of what is everybody's.
	if n > p.cfg.PerOwner-used {
		return &Error{What: p.cfg.What, Caller: true, Limit: p.cfg.PerOwner, Used: used}
	}
	if p.cfg.PerOwner < p.cfg.Total { // otherwise it is not there to be shared: descriptors are the machine's
		limit = Room(used+n, limit)
	}
	for {
		total := p.total.Load()
		if n > limit-total {
			return &Error{What: p.cfg.What, Limit: limit, Used: total}
		}
		if p.total.CompareAndSwap(total, total+n) {
			s.used[owner] = used + n
			return nil
		}
	}
}

// Release gives back n of what an owner holds. More than he holds is not given
// back: that would be somebody else's.
func (p *Pool) Release(owner string, n int64) {
	s := p.shard(owner)
	s.mu.Lock()
	defer s.mu.Unlock()
	used := s.used[owner]
	n = min(n, used)
	if n <= 0 {
		return
	}
	if n == used {
		delete(s.used, owner)
	} else {
		s.used[owner] = used - n
	}
	p.total.Add(-n)
}

// Used is what an owner holds.
func (p *Pool) Used(owner string) int64 {
	s := p.shard(owner)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used[owner]
}

// Total is what all owners hold together.
func (p *Pool) Total() int64 { return p.total.Load() }

// Limits are what one owner, and all together, may hold.
func (p *Pool) Limits() (perOwner, total int64) { return p.cfg.PerOwner, p.cfg.Total }
