package session

import (
	"context"
	"time"
)

// Drain refuses new sessions and listeners, accepts no more, tells every session of the deadline, waits until
// no connection is left or ctx is done, closes what is left with CauseDrain,
// and then lets every stream end. It returns when every socket is closed.
// deadline is what callers are told; ctx is what counts.
func (r *Registry) Drain(ctx context.Context, deadline time.Time) {
	r.mu.Lock()
	if !r.draining.IsZero() {
		r.mu.Unlock()
		<-r.drained
		return
	}
	r.draining = deadline
	r.mu.Unlock()
	r.endListeners(&DrainingError{})
	for _, s := range r.all() {
		s.announceDrain(deadline)
	}
	select {
	case <-r.whenIdle(false):
	case <-ctx.Done():
	}
	r.endListeners(ErrListenerNotFound)
	idle := r.whenIdle(true)
	sessions := r.all()
	for _, s := range sessions {
		s.stopConnection(CauseDrain, &DrainingError{})
	}
	<-idle
	close(r.drained)
	for _, s := range sessions {
		s.mu.Lock()
		s.wakeLocked()
		s.mu.Unlock()
	}
}

func (r *Registry) isDrained() bool {
	select {
	case <-r.drained:
		return true
	default:
		return false
	}
}

// announceDrain tells the caller, within the present generation, or outside of
// any after its end, which is a generation's last event.
func (s *Session) announceDrain(deadline time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over == nil {
		s.emitLocked(Draining{Deadline: deadline})
	}
}
