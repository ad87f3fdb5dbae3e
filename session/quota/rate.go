package quota

import "time"

// RateConfig says what a Rate counts and how often it may be done.
type RateConfig struct {
	What     string // names it in an Error
	PerOwner Limit
	Total    Limit
	Now      func() time.Time // time.Now
}

// Rate limits how often something is done.
type Rate struct {
	what   string
	clock  clock
	each   pace
	all    pace
	total  bucket
	owners *book[bucket]
}

// NewRate returns a Rate of which nothing is used up.
func NewRate(cfg RateConfig) *Rate {
	r := &Rate{what: cfg.What, clock: newClock(cfg.Now), each: piecePace(cfg.PerOwner), all: piecePace(cfg.Total)}
	r.owners = newBook[bucket](r.each.burst)
	return r
}

// Allow counts n for an owner, or nothing and returns an [Error] with the time after
// which the same would be allowed. More than a burst never is. An n of 0 or less
// counts nothing.
func (r *Rate) Allow(owner string, n int64) error {
	if n <= 0 {
		return nil
	}
	s := r.owners.shard(owner)
	s.Lock()
	defer s.Unlock()
	p := s.page(owner)
	now := r.clock.now()
	if err := takeBoth(r.what, &p.value, &r.each, &r.total, &r.all, now, n); err != nil {
		return err
	}
	s.touch(p, now)
	return nil
}

// takeBoth takes n from an owner's bucket and from everybody's, or from neither. The
// owner's must be locked; everybody's need not be.
func takeBoth(what string, own *bucket, each *pace, total *bucket, all *pace, now, n int64) *Error {
	switch {
	case each.none() || n > each.Burst:
		return &Error{What: what, Caller: true, Limit: max(each.PerSecond, 0), Used: own.used(each, now)}
	case all.none() || n > all.Burst:
		return &Error{What: what, Limit: max(all.PerSecond, 0), Used: total.used(all, now)}
	}
	before := own.full.Load()
	if wait := own.take(each, now, n); wait > 0 {
		// Both have to have it, so the later of the two counts.
		return &Error{
			What: what, Caller: true, Limit: each.PerSecond, Used: own.used(each, now),
			RetryAfter: time.Duration(max(wait, total.lack(all, now, n))),
		}
	}
	if wait := total.take(all, now, n); wait > 0 {
		own.full.Store(before)
		return &Error{What: what, Limit: all.PerSecond, Used: total.used(all, now), RetryAfter: time.Duration(wait)}
	}
	return nil
}
