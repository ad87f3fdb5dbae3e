package quota

import (
	"hash/maphash"
	"math"
	"time"
)

// DestinationsConfig says how many new destinations callers may turn to. Where no
// default is named, zero lets nothing through.
type DestinationsConfig struct {
	What     string // names it in an Error; "destinations"
	PerOwner Limit  // new destinations
	Total    Limit

	Window time.Duration // how long a destination is not new again; 10 min
	Keys   int           // how many are remembered for an owner; 4,096

	// Suspect is told of an owner whose own limit was reached, at most once a minute
	// for each, and to how many destinations he turned within the window. It runs on
	// the caller's goroutine, without a lock. nil: nobody is told.
	Suspect func(owner string, distinct int)

	Now func() time.Time // time.Now
}

// suspectEvery is how often an owner is suspected at most.
const suspectEvery = time.Minute

// Destinations limits how fast a caller turns to destinations that are new for him:
// a scan does so, and a program that talks to its servers does not.
type Destinations struct {
	cfg    DestinationsConfig
	clock  clock
	seed   maphash.Seed
	each   pace
	all    pace
	total  bucket
	owners *book[travels]
}

// travels is where an owner was.
type travels struct {
	bucket    bucket
	recent    recent
	suspected int64 // the next instant at which he may be
}

type destination struct {
	host string
	port int
}

// NewDestinations returns a Destinations that remembers nobody.
func NewDestinations(cfg DestinationsConfig) *Destinations {
	if cfg.What == "" {
		cfg.What = "destinations"
	}
	if cfg.Window <= 0 {
		cfg.Window = 10 * time.Minute
	}
	if cfg.Keys <= 0 {
		cfg.Keys = 4096
	}
	cfg.Keys = min(cfg.Keys, math.MaxInt32)
	d := &Destinations{
		cfg: cfg, clock: newClock(cfg.Now), seed: maphash.MakeSeed(),
		each: piecePace(cfg.PerOwner), all: piecePace(cfg.Total),
	}
	d.owners = newBook[travels](max(d.each.burst, int64(cfg.Window), int64(suspectEvery)))
	return d
}

// Allow counts a destination if it is new for the owner; one that was allowed, or
// asked for again, within the window is not. The host is compared byte by byte, so
// it must be in one spelling. What is refused with an [Error] stays new.
func (d *Destinations) Allow(owner, host string, port int) error {
	distinct, err := d.allow(owner, maphash.Comparable(d.seed, destination{host, port}))
	if distinct >= 0 && d.cfg.Suspect != nil {
		d.cfg.Suspect(owner, distinct)
	}
	return err
}

// allow returns the owner's destinations if he is to be suspected, otherwise -1.
func (d *Destinations) allow(owner string, key uint64) (distinct int, err error) {
	s := d.owners.shard(owner)
	s.Lock()
	defer s.Unlock()
	p := s.page(owner)
	t, now := &p.value, d.clock.now()
	t.recent.forget(now - int64(d.cfg.Window))
	if t.recent.see(key, now) {
		s.touch(p, now)
		return -1, nil
	}
	if err := takeBoth(d.cfg.What, &t.bucket, &d.each, &d.total, &d.all, now, 1); err != nil {
		if !err.Caller || err.RetryAfter == 0 || now < t.suspected {
			return -1, err
		}
		t.suspected = now + int64(suspectEvery)
		s.touch(p, now)
		return len(t.recent.places), err
	}
	t.recent.add(key, now, d.cfg.Keys)
	s.touch(p, now)
	return -1, nil
}
