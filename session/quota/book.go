package quota

import (
	"hash/maphash"
	"sync"
)

// shardCount is how many locks the owners are spread over: many more than CPUs
// fight for at a time.
const shardCount = 64

// book has a page for every owner, and drops those that were not touched for the
// time idle. It forgets as it is used, two pages for each that is touched, so that
// no call pays for many.
type book[V any] struct {
	idle   int64 // nanoseconds
	seed   maphash.Seed
	shards [shardCount]shard[V]
}

// shard is guarded by its lock; so are its pages, except where V says otherwise.
type shard[V any] struct {
	sync.Mutex
	idle           int64
	pages          map[string]*page[V]
	oldest, newest *page[V] // of those that may be dropped, by when they were touched
	_              [64]byte // a neighbour's lock is not on this cache line
}

type page[V any] struct {
	owner        string
	value        V
	touched      int64
	listed       bool
	older, newer *page[V]
}

func newBook[V any](idle int64) *book[V] {
	b := &book[V]{idle: idle, seed: maphash.MakeSeed()}
	for i := range b.shards {
		b.shards[i].idle = idle
		b.shards[i].pages = make(map[string]*page[V])
	}
	return b
}

func (b *book[V]) shard(owner string) *shard[V] {
	return &b.shards[maphash.String(b.seed, owner)%shardCount]
}

// page returns an owner's, which may be new and is then kept only if it is touched
// or held.
func (s *shard[V]) page(owner string) *page[V] {
	if p := s.pages[owner]; p != nil {
		return p
	}
	return &page[V]{owner: owner}
}

// touch keeps a page until it has been idle for long enough.
func (s *shard[V]) touch(p *page[V], now int64) {
	s.hold(p)
	p.touched, p.listed = now, true
	p.older = s.newest
	if s.newest != nil {
		s.newest.newer = p
	} else {
		s.oldest = p
	}
	s.newest = p
	for range 2 {
		if old := s.oldest; old != p && old.touched+s.idle <= now {
			s.unlist(old)
			delete(s.pages, old.owner)
		}
	}
}

// hold keeps a page until it is touched.
func (s *shard[V]) hold(p *page[V]) {
	s.pages[p.owner] = p
	s.unlist(p)
}

func (s *shard[V]) unlist(p *page[V]) {
	if !p.listed {
		return
	}
	if p.older != nil {
		p.older.newer = p.newer
	} else {
		s.oldest = p.newer
	}
	if p.newer != nil {
		p.newer.older = p.older
	} else {
		s.newest = p.older
	}
	p.older, p.newer, p.listed = nil, nil, false
}
