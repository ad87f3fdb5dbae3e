package session

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// budget is what buffers and facts may cost, in bytes: of one owner, or of all.
type budget struct {
	limit int64
	held  atomic.Int64
}

func (b *budget) exceeded() bool { return b.held.Load() > b.limit }

// accountLocked counts what the session's buffers and facts cost now, and lets its core know
// whether memory is scarce: then each of its rings has one chunk, so that what an
// owner holds stays near his budget, and every connection goes on.
func (s *Session) accountLocked() {
	held := int64(s.core.Held()) + s.factsLocked()
	if s.over != nil && (s.conn == nil || s.conn.ended) {
		held = 0 // nobody will come for it
	}
	if delta := held - s.held; delta != 0 {
		s.held = held
		s.buffered.held.Add(delta)
		s.reg.buffered.held.Add(delta)
	}
	if (held > 0 || !s.given.empty()) && s.attachment == nil {
		s.reg.shedSoon()
	}
	if scarce := s.buffered.exceeded() || s.reg.buffered.exceeded(); scarce != s.core.IsScarce() {
		s.core.Scarce(time.Now(), scarce) // mostly nothing changes, and the clock need not be asked
	}
}

// shedding keeps what sessions hold that no stream does within its share.
type shedding struct {
	running atomic.Bool
	mu      sync.Mutex
	timer   *time.Timer // nil: nothing is to be looked at
	asked   bool        // since it was looked at last
	stopped bool
}

// shedEvery is how often it is looked at, while there may be such sessions.
const shedEvery = time.Second

func (x *shedding) stop() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.stopped = true
	if x.timer != nil {
		x.timer.Stop()
	}
}

// shedSoon looks after sessions that no stream holds, from now on and until there
// are none.
func (r *Registry) shedSoon() {
	x := &r.shedding
	if x.running.Load() {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.asked = true
	if x.timer == nil && !x.stopped {
		x.running.Store(true)
		x.timer = r.after(shedEvery, r.shed)
	}
}

func (r *Registry) shed() {
	x := &r.shedding
	x.mu.Lock()
	x.asked = false
	x.mu.Unlock()
	x.running.Store(false)
	left := r.shedOnce(r.limits.memoryGone())
	x.mu.Lock()
	defer x.mu.Unlock()
	if (left || x.asked) && !x.stopped {
		x.running.Store(true)
		x.timer.Reset(shedEvery)
	} else {
		x.timer = nil
	}
}

// shedOnce ends the sessions that have been without a stream for longest, until
// the others hold no more than their share, or, where memory has run out, nothing.
// It says whether any of them holds something still.
func (r *Registry) shedOnce(all bool) (left bool) {
	type idle struct {
		s     *Session
		since time.Time
		held  int64
	}
	var found []idle
	var total int64
	share := r.cfg.MaxBuffered / 100 * int64(r.cfg.DetachedShare)
	if all {
		share = 0
	}
	for _, s := range r.all() {
		s.mu.Lock()
		since := s.core.DetachedSince()
		if since.IsZero() && !s.given.empty() { // it was never connected
			since = s.lastUse
		}
		if s.over == nil && s.attachment == nil && !since.IsZero() {
			s.accountLocked()
			held := s.held
			if !s.given.empty() {
				left = true
				if r.buffered.held.Load() > share { // else there is nothing to be ended
					held += s.givens.wouldGive(s.given)
				}
			}
			found = append(found, idle{s, since, held})
			total += held
		}
		s.mu.Unlock()
	}
	slices.SortFunc(found, func(a, b idle) int { return a.since.Compare(b.since) })
	shed := 0
	byOwner, heldBy := make(map[string][]idle), make(map[string]int64)
	for _, i := range found {
		byOwner[i.s.owner] = append(byOwner[i.s.owner], i)
		heldBy[i.s.owner] += i.held
	}
	for total > share && len(byOwner) > 0 {
		var most string // who holds most goes first: nobody is pushed out by another's hoard
		for owner := range byOwner {
			if _, ok := byOwner[most]; !ok || heldBy[owner] > heldBy[most] {
				most = owner
			}
		}
		i := byOwner[most][0]
		if byOwner[most] = byOwner[most][1:]; len(byOwner[most]) == 0 {
			delete(byOwner, most)
		}
		heldBy[most] -= i.held
		if i.held > 0 && i.s.shed() {
			total -= i.held
			shed++
		}
	}
	if shed > 0 {
		r.cfg.Logger.Warn("sessions without a stream were ended: their buffers are needed", "sessions", shed, "left", total)
	}
	return left || total > 0
}

// shed ends a session that no stream holds; false: one has come.
func (s *Session) shed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil || s.attachment != nil {
		return false
	}
	final := s.core.Shed(time.Now())
	if final == nil {
		return false
	}
	s.expiredLocked(final)
	s.accountLocked()
	return true
}
