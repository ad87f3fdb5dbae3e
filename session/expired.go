package session

import (
	"time"

	"securesocket/session/resume"
)

// expiredMemory is how long the owner of a session that has expired is told so.
const expiredMemory = resume.ExpiredMemory

// expiredSessions are an owner's sessions whose grace was over: of each, what he
// is told. Guarded by the registry's mu.
type expiredSessions struct {
	byID  map[string]expired
	order []string    // oldest first
	timer *time.Timer // forgets the oldest; nil: there is none
}

type expired struct {
	until time.Time
	final *ExpiredError // immutable
}

// expiredSession returns what an owner, nil for a stranger, is told of a session
// that has expired; nil: nothing.
func (o *ownerSessions) expiredSession(id string) *ExpiredError {
	if o == nil {
		return nil
	}
	e := o.expired.byID[id]
	if !time.Now().Before(e.until) {
		return nil
	}
	return e.final
}

// buryLocked remembers what became of a session. Of an owner as many are
// remembered as he may have sessions.
func (r *Registry) buryLocked(owner, id string, final *ExpiredError) {
	x := &r.owners[owner].expired
	if x.byID == nil {
		x.byID = make(map[string]expired)
	}
	x.byID[id] = expired{time.Now().Add(expiredMemory), final}
	x.order = append(x.order, id)
	if len(x.order) > r.cfg.MaxSessionsPerOwner {
		x.forgetOldest()
	}
	if x.timer == nil {
		x.timer = r.after(expiredMemory, func() { r.forgetExpired(owner) })
	}
}

func (x *expiredSessions) forgetOldest() {
	delete(x.byID, x.order[0])
	x.order = append(x.order[:0], x.order[1:]...) // moved down: the array does not grow for ever
}

// amend corrects what the owner of a session that has expired is told.
func (r *Registry) amend(s *Session, final *ExpiredError) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.owners[s.owner]
	if o == nil {
		return
	}
	if e, ok := o.expired.byID[s.id]; ok {
		e.final = final
		o.expired.byID[s.id] = e
	}
}

// forgetExpired forgets an owner's sessions that have expired long ago.
func (r *Registry) forgetExpired(owner string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.owners[owner]
	if o == nil {
		return
	}
	x := &o.expired
	now := time.Now()
	for len(x.order) > 0 && !now.Before(x.byID[x.order[0]].until) {
		x.forgetOldest()
	}
	if len(x.order) > 0 {
		x.timer.Reset(x.byID[x.order[0]].until.Sub(now))
		return
	}
	x.timer = nil
	r.tidyLocked(owner)
}
