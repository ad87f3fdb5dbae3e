package session

import (
	"slices"
	"time"

	"securesocket/session/resume"
)

// expiredMemory is how long the owner of a session that has expired is told so.
const expiredMemory = resume.ExpiredMemory

// expired is what is left of a session whose grace was over.
type expired struct {
	id    string
	until time.Time
	final *ExpiredError // immutable
}

// expiredLocked returns what an owner, nil for a stranger, is told of a session
// that has expired; nil: nothing.
func (o *ownerSessions) expiredLocked(id string) *ExpiredError {
	if o == nil {
		return nil
	}
	i := slices.IndexFunc(o.expired, func(e expired) bool { return e.id == id })
	if i < 0 || !time.Now().Before(o.expired[i].until) {
		return nil
	}
	return o.expired[i].final
}

// buryLocked remembers what became of a session, and forgets the oldest beyond
// limit.
func (o *ownerSessions) buryLocked(id string, final *ExpiredError, limit int) {
	o.expired = append(o.expired, expired{id, time.Now().Add(expiredMemory), final})
	o.expired = slices.Delete(o.expired, 0, max(0, len(o.expired)-limit))
}

// amend corrects what the owner of a session that has expired is told.
func (r *Registry) amend(s *Session, final *ExpiredError) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.owners[s.owner]
	if o == nil {
		return
	}
	if i := slices.IndexFunc(o.expired, func(e expired) bool { return e.id == s.id }); i >= 0 {
		o.expired[i].final = final
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
	now := time.Now()
	o.expired = slices.DeleteFunc(o.expired, func(e expired) bool { return !now.Before(e.until) })
	r.tidyLocked(owner)
}
