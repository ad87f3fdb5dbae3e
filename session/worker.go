package session

import "time"

// worker is a goroutine that works when there is something to do, parks when
// there is nothing, and ends when that lasts: a session at rest has none, and one
// that is busy wakes what it has, which costs less than to start it. Guarded by
// the session's mu.
type worker struct {
	state workerState
	calm  bool      // it was parked already when the session was swept last
	kick  chan bool // to the parked goroutine: true: work, false: end
}

type workerState uint8

const (
	absent  workerState = iota // there is no goroutine
	working                    // it looks again before it parks
	parked
	over // it ends, and there will be no other
)

// wakeLocked has work run soon. work works until nothing is left to do, and then
// calls parkLocked, or endLocked (false), and returns: from then on another may
// do its work.
func (w *worker) wakeLocked(work func() (parked bool)) {
	switch w.state {
	case absent:
		w.state = working
		kick := make(chan bool, 1) // its own: the end of an earlier goroutine may still be on the way
		w.kick = kick
		go func() {
			for work() && <-kick {
			}
		}()
	case parked:
		w.state = working
		w.kick <- true
	}
}

// parkLocked says that nothing is left to do.
func (w *worker) parkLocked(s *Session) bool {
	w.state, w.calm = parked, false
	s.sweepSoonLocked()
	return true
}

// endLocked lets the goroutine end, and starts no other.
func (w *worker) endLocked() {
	if w.state == parked {
		w.kick <- false
	}
	w.state = over
}

// sweepLocked ends a goroutine that has been parked for a while, and says whether
// there still is one.
func (w *worker) sweepLocked() bool {
	switch {
	case w.state == parked && w.calm:
		w.state = absent
		w.kick <- false
	case w.state == parked:
		w.calm = true
	}
	return w.state == working || w.state == parked
}

// sweepEvery is how often a session looks for goroutines at rest, while it has
// any.
const sweepEvery = time.Second

func (s *Session) sweepSoonLocked() {
	if s.sweeper == nil {
		s.sweeper = s.reg.after(sweepEvery, s.sweep)
	}
}

func (s *Session) sweep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	again := false
	if c := s.conn; c != nil {
		again = c.writer.sweepLocked()
	}
	if a := s.attachment; a != nil && a.sender.sweepLocked() {
		again = true
	}
	if again {
		s.sweeper.Reset(sweepEvery)
	} else {
		s.sweeper = nil
	}
}
