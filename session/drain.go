package session

import (
	"context"
	"time"
)

// Drain refuses new sessions, tells every session of the deadline, waits until
// no connection is left or ctx is done, closes what is left with CauseDrain,
// and then lets every stream end. It returns when every socket is closed.
// deadline is what callers are told; ctx is what counts.
func (r *Registry) Drain(ctx context.Context, deadline time.Time) {
	r.mu.Lock()
	r.draining = deadline
	idle := make(chan struct{})
	if r.live == 0 {
		close(idle)
	} else {
		r.idle = idle
	}
	r.mu.Unlock()
	for _, s := range r.all() {
		s.announceDrain(deadline)
	}
	select {
	case <-idle:
	case <-ctx.Done():
	}
	sessions := r.all()
	for _, s := range sessions {
		s.stopConnection(CauseDrain, &DrainingError{})
	}
	for _, s := range sessions {
		s.waitConnection()
	}
	close(r.drained)
	for _, s := range sessions {
		s.mu.Lock()
		s.wakeLocked()
		s.mu.Unlock()
	}
}

// Draining tells whether Drain was called, and its deadline.
func (r *Registry) Draining() (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.draining, !r.draining.IsZero()
}

func (r *Registry) isDrained() bool {
	select {
	case <-r.drained:
		return true
	default:
		return false
	}
}

func (s *Session) announceDrain(deadline time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deleted || s.drainAnnounced {
		return
	}
	s.drainAnnounced = true
	s.emitLocked(Draining{Deadline: deadline})
}
