package session

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"securesocket/tlsengine"
	"securesocket/tlsengine/truststore"
)

// ListenArgs say where to listen, and what becomes of what comes.
type ListenArgs struct {
	Addr         netip.AddrPort // port 0: one that is free and allowed
	StartTLS     bool           // accepted connections begin with a handshake
	Settings     Settings       // of accepted sessions
	Certificates []truststore.Entry
	Backlog      int // 0: DefaultBacklog
}

// How many accepted sessions may wait.
const (
	DefaultBacklog = 128
	MaxBacklog     = 1024
	DefaultCredit  = 16
	MaxCredit      = MaxBacklog
)

// Listener accepts connections for its owner: each becomes a session. Made by
// Registry.Listen.
//
// An accepted session waits in three places: until its handshake is over (or asks
// something of the owner), until an Accept has room for it (ready), and until its
// owner claims it (given). A slot of the backlog is taken from accept(2) until it is
// given out or gone. The lock of a listener comes after those of its sessions.
type Listener struct {
	id, owner string
	listKey   string
	created   time.Time
	reg       *Registry
	permit    *Permit // until it listens no more
	args      ListenArgs
	// What args had of certificates, which are its sessions' too, and what it is counted as.
	certificates truststore.Level
	counted      gift
	socket       net.Listener
	local        netip.AddrPort
	slots        chan struct{} // of the backlog: full where all are taken
	stop         chan struct{} // closed when it listens no more
	stopped      chan struct{} // closed when the goroutine that accepts has ended
	refusing     bool          // that goroutine's: the last connection was closed at once

	mu       sync.Mutex
	accepted int64
	waiting  map[*Session]*arrival
	ready    []*Session // in the order in which they became so
	given    int        // of waiting
	turns    int64      // sessions that were given out, each counted once
	acceptor *acceptor  // nil: nobody accepts
	alone    *time.Timer
	over     error // why it listens no more, the first; nil: it does. ErrListenerNotFound or a DrainingError
	gone     bool  // its owner cannot find it any more
}

// arrival is an accepted session that nobody has claimed.
type arrival struct {
	place placeOfArrival
	clock *time.Timer // until it has to be given, and then until it has to be claimed; nil: it is arriving
	turn  int64       // of given: the order
}

type placeOfArrival uint8

const (
	arriving placeOfArrival = iota
	ready
	given
)

// acceptor is one Accept.
type acceptor struct {
	wake       chan struct{} // depth 1: to the acceptor, when there may be something
	superseded bool          // guarded by the listener's mu
}

// ID is the listener's key, and ListKey where it stands in a list.
func (l *Listener) ID() string { return l.id }

// ListKey is where the listener stands in Registry.Listeners.
func (l *Listener) ListKey() string { return l.listKey }

// ListenerSnapshot is a listener at one moment.
type ListenerSnapshot struct {
	ID       string
	Owner    string
	Local    netip.AddrPort
	StartTLS bool
	Settings Settings
	Backlog  int
	Accepted int64
	Pending  int
	Created  time.Time
}

// Snapshot returns the listener as it is now.
func (l *Listener) Snapshot() ListenerSnapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	return ListenerSnapshot{
		ID: l.id, Owner: l.owner, Local: l.local, StartTLS: l.args.StartTLS, Settings: l.args.Settings, Backlog: l.args.Backlog,
		Accepted: l.accepted, Pending: len(l.waiting), Created: l.created,
	}
}

// run accepts until the listener ends.
func (l *Listener) run() {
	defer close(l.stopped)
	var pause time.Duration
	for {
		select {
		case l.slots <- struct{}{}:
		case <-l.stop:
			return
		}
		conn, err := l.socket.Accept()
		if err == nil {
			pause = 0
			l.arrive(conn)
			continue
		}
		<-l.slots
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if pause == 0 {
			l.reg.cfg.Logger.Warn("a connection cannot be accepted", "listener", l.id, "error", err.Error())
		}
		pause = min(max(2*pause, minAcceptPause), maxAcceptPause)
		if !l.rest(pause) {
			return
		}
	}
}

// rest waits, for descriptors to become free, say; false: the listener ends.
func (l *Listener) rest(pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.stop:
		return false
	}
}

// Pauses between accepts that fail.
const (
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
)

// arrive makes a session of a connection.
func (l *Listener) arrive(conn net.Conn) {
	s, err := l.reg.createAccepted(l)
	if err == nil {
		l.mu.Lock()
		if l.over == nil {
			l.accepted++
			l.waiting[s] = &arrival{}
		} else {
			err = l.over
		}
		l.mu.Unlock()
		if err == nil {
			err = s.serve(conn, l)
		}
		if err != nil {
			s.Delete()
			l.leave(s)
		}
	} else {
		<-l.slots
	}
	if err != nil {
		if !l.refusing { // once: strangers choose how many there are
			l.reg.cfg.Logger.Warn("accepted connections are closed", "listener", l.id, "error", err.Error())
		}
		_ = tlsengine.NewPlain(conn).Abort() // nothing that was asked of it was done
	}
	l.refusing = err != nil
}

// offer lets a session be given out; that it may be already does no harm.
func (l *Listener) offer(s *Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a := l.waiting[s]; a != nil && a.place == arriving {
		a.place = ready
		// Twice the time of a claim: who holds the credit has let it go by then.
		a.clock = l.reg.after(2*l.reg.cfg.ClaimTimeout, func() { s.unclaimed(CauseDetachExpired) })
		l.ready = append(l.ready, s)
		l.wakeLocked()
	}
}

// leave forgets a session, because it was claimed or is gone. false: it did not
// wait any more.
func (l *Listener) leave(s *Session) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.waiting[s]
	if a == nil {
		return false
	}
	delete(l.waiting, s)
	l.unreadyLocked(s)
	if a.clock != nil {
		a.clock.Stop()
	}
	if a.place == given {
		l.given--
		l.wakeLocked()
		return true
	}
	<-l.slots
	return true
}

// untold: nobody was given it, and nobody has claimed it.
func (l *Listener) untold(s *Session) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.waiting[s]
	return a != nil && a.place != given
}

func (l *Listener) unreadyLocked(s *Session) {
	for i, r := range l.ready {
		if r == s {
			l.ready = append(l.ready[:i:i], l.ready[i+1:]...)
			return
		}
	}
}

func (l *Listener) wakeLocked() {
	if l.acceptor != nil {
		signal(l.acceptor.wake)
	}
}

// Accept calls send with every session that is to be given out, while no more than
// credit wait to be claimed. Another Accept is superseded, and what still waits is
// given out again. The error is send's, ErrCancelled, ErrAcceptSuperseded or a
// DrainingError; nil: the listener was closed.
func (l *Listener) Accept(ctx context.Context, credit int, send func(*Session) error) error {
	a, err := l.beginAccept()
	if err != nil {
		return err
	}
	defer l.endAccept(a)
	for {
		s, ok, err := l.next(a, credit)
		switch {
		case errors.Is(err, ErrListenerNotFound):
			return nil
		case err != nil:
			return err
		case ok:
			if err := send(s); err != nil {
				return err
			}
			continue
		}
		select {
		case <-a.wake:
		case <-ctx.Done():
			return ErrCancelled
		}
	}
}

func (l *Listener) beginAccept() (*acceptor, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over != nil {
		return nil, l.over
	}
	if old := l.acceptor; old != nil {
		old.superseded = true
		signal(old.wake)
	}
	l.alone.Stop()
	a := &acceptor{wake: make(chan struct{}, 1)}
	l.acceptor = a
	l.giveAgainLocked()
	return a, nil
}

// giveAgainLocked puts what was given out to another Accept, and not claimed, before
// what is ready. Their clocks go on, and they hold no slot. Some may be there
// already, since that Accept was to be given them again itself.
func (l *Listener) giveAgainLocked() {
	l.ready = slices.DeleteFunc(l.ready, func(s *Session) bool { return l.waiting[s].place == given })
	var again []*Session
	for s, a := range l.waiting {
		if a.place == given {
			again = append(again, s)
		}
	}
	slices.SortFunc(again, func(a, b *Session) int { return cmp.Compare(l.waiting[a].turn, l.waiting[b].turn) })
	l.ready = append(again, l.ready...)
}

func (l *Listener) endAccept(a *acceptor) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.acceptor == a {
		l.acceptor = nil
		if l.over == nil {
			l.alone.Reset(l.grace())
		}
	}
}

// next returns a session to be given out; false: there is none now.
func (l *Listener) next(a *acceptor, credit int) (s *Session, ok bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case a.superseded:
		return nil, false, ErrAcceptSuperseded
	case l.over != nil:
		return nil, false, l.over
	case len(l.ready) == 0:
		return nil, false, nil
	}
	s = l.ready[0]
	arr := l.waiting[s]
	if arr.place != given {
		if l.given >= credit {
			return nil, false, nil
		}
		arr.place = given
		l.turns++
		arr.turn = l.turns
		arr.clock.Reset(l.reg.cfg.ClaimTimeout)
		l.given++
		<-l.slots
	}
	l.ready = l.ready[1:]
	return s, true, nil
}

// grace is how long the listener lives without an Accept.
func (l *Listener) grace() time.Duration {
	defaults, _ := l.reg.defaultsOf(l.owner) // in memory since Listen
	return *l.reg.cfg.effective(l.args.Settings.Over(defaults)).DetachGrace
}

// closeAlone closes a listener whose owner has gone.
func (l *Listener) closeAlone() {
	l.mu.Lock()
	alone := l.acceptor == nil
	l.mu.Unlock()
	if alone {
		l.Close()
	}
}

// Close stops listening, closes what was not claimed, and has Accept return.
// false: it was closed before.
func (l *Listener) Close() bool { return l.end(ErrListenerNotFound) }

// end ends the listener with what its owner is told from now on, and what he was
// never told of with it.
func (l *Listener) end(over error) bool {
	l.mu.Lock()
	if l.gone {
		l.mu.Unlock()
		return false
	}
	first := l.over == nil
	if first {
		l.over = over
	}
	l.gone = errors.Is(over, ErrListenerNotFound)
	l.alone.Stop()
	l.wakeLocked()
	var untold, told []*Session
	for s, a := range l.waiting {
		if a.place == given {
			told = append(told, s)
		} else {
			untold = append(untold, s)
		}
	}
	l.mu.Unlock()
	if first {
		close(l.stop)
		_ = l.socket.Close()
		<-l.stopped
		l.permit.End()
	}
	cause := CauseDrain // and those that were given out may still be claimed
	if errors.Is(over, ErrListenerNotFound) {
		l.reg.removeListener(l)
		cause, untold = CauseLocal, append(untold, told...)
	}
	for _, s := range untold {
		s.unclaimed(cause)
	}
	return true
}

// keepOptions sets on an accepted socket what a dialled one gets.
func keepOptions(conn net.Conn, eff *Settings) {
	tc, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	_ = tc.SetKeepAliveConfig(keepAlive(*eff.KeepAlive)) // these fail only on a socket that has ended
	if raw, err := tc.SyscallConn(); err == nil {
		_ = setUserTimeout(raw, *eff.UserTimeout)
	}
}
