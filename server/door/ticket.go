package door

import (
	"container/list"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"securesocket/session/quota"
)

// Ticket is a connection's place. A nil Ticket is that of a connection which
// came through no Door: it may do everything.
type Ticket struct {
	door *Door
	conn net.Conn // as it was accepted
	source
	place   *place      // of what it brings as long as it is unclaimed
	claimed atomic.Bool // set with caller, and never taken back
	owner   *owner      // whose account counts; set before claimed
	ending  atomic.Bool // it is being closed for RPCs that were refused

	meter atomic.Pointer[meter] // nil until the handshake is over

	rpcsMu sync.Mutex
	rpcs   int    // that go on
	pays   *owner // for them

	// The Door's mu guards the rest.
	caller         string
	refused        *LimitError // the claim was; the connection is about to end
	claimant       string      // whose claim that was
	left           bool        // it counts for nobody any more
	last           time.Time   // it came, or a visit began or ended
	visits         int         // that go on
	inAll, inPlace *list.Element
	timer          *time.Timer
}

// refusalLinger is how long a connection whose claim was refused stays, for the
// refusal to reach the caller.
const refusalLinger = time.Second

// Claim says that an authenticated RPC of principal runs on the connection. The
// first claim decides for whom the connection counts; later ones cost nothing
// and succeed, whoever makes them. A caller who has no room left, for the connection or
// for what goes on over it already, is refused with a *LimitError, as is every later RPC
// on the connection, which is closed a second later.
func (t *Ticket) Claim(principal string) error {
	if t == nil || t.claimed.Load() {
		return nil
	}
	d := t.door
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case t.refused != nil:
		return t.refused
	case t.left || t.claimed.Load():
		return nil
	}
	t.claimant = principal
	o := d.callers[principal]
	if o == nil {
		o = &owner{
			unfinished: account{most: d.cfg.UnfinishedPerCaller, total: &d.unfinished},
			rpcs:       account{most: int64(d.cfg.RPCsPerCaller), total: &d.rpcs},
			streams:    account{most: 2 * int64(d.cfg.RPCsPerCaller)},
		}
	}
	if err := t.chargeLocked(o); err != nil {
		return t.refuseLocked(err)
	}
	t.leavePoolsLocked()
	t.timer.Stop()
	t.caller, t.owner = principal, o
	d.callers[principal] = o
	o.connections++
	t.claimed.Store(true)
	return nil
}

// chargeLocked has a caller pay for what goes on over the connection, or says why he
// cannot have it.
func (t *Ticket) chargeLocked(o *owner) *LimitError {
	d := t.door
	if wait := overdue(d.callerDebts.of(t.claimant, time.Now())); wait > 0 {
		return &LimitError{What: LimitMisuse, Retry: wait}
	}
	if o.connections >= d.cfg.PerCaller {
		return &LimitError{What: LimitCaller, Limit: d.cfg.PerCaller}
	}
	room := quota.Room(o.connections+1, d.cfg.Max)
	if claimed := d.open - d.unclaimed(); claimed >= room {
		return &LimitError{What: LimitAll, Limit: room}
	}
	m := t.meter.Load()
	if m == nil {
		return t.moveRPCs(o)
	}
	m.backlog.mu.Lock()
	defer m.backlog.mu.Unlock()
	err := m.backlog.fits(o)
	if err == nil {
		err = t.moveRPCs(o)
	}
	if err == nil {
		m.backlog.claim(o)
	}
	return err
}

func (t *Ticket) refuseLocked(err *LimitError) error {
	t.refused = err
	t.door.stats.refuse(err.What)
	t.timer.Reset(refusalLinger)
	return err
}

// Claimed reports whether the connection counts for a caller.
func (t *Ticket) Claimed() bool { return t == nil || t.claimed.Load() }

// ownerOf is who pays for what goes on over the connection, which is claimed.
func (t *Ticket) ownerOf() *owner {
	if t == nil {
		return nil
	}
	return t.owner
}

// maxVisits is how many visits may go on over a connection at once. Whoever watches
// health needs one.
const maxVisits = 32

// Visit says that an RPC runs which needs no authentication, or returns a
// *LimitError; leave says that it has ended. An unclaimed connection may stay for
// that.
func (t *Ticket) Visit() (leave func(), err error) {
	if t == nil {
		return func() {}, nil
	}
	d := t.door
	d.mu.Lock()
	defer d.mu.Unlock()
	if t.visits >= maxVisits {
		return nil, &LimitError{What: LimitVisits, Limit: maxVisits}
	}
	t.visitLocked(1)
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		t.visitLocked(-1)
	}, nil
}

func (t *Ticket) visitLocked(n int) {
	t.visits += n
	t.stirLocked()
}

// stirLocked makes t the last to give way.
func (t *Ticket) stirLocked() {
	t.last = time.Now()
	if t.inAll != nil {
		t.door.crowdOf(t.source).stir(t)
	}
}

// expire ends a connection that nobody has claimed, or whose claim was refused.
func (t *Ticket) expire() {
	d := t.door
	d.mu.Lock()
	if t.left || t.claimed.Load() {
		d.mu.Unlock()
		return
	}
	if t.refused == nil {
		rest := d.cfg.UnclaimedTimeout
		if t.visits == 0 {
			rest -= time.Since(t.last)
		}
		if rest > 0 {
			t.timer.Reset(rest)
			d.mu.Unlock()
			return
		}
		d.stats.Expired++
	}
	linger := t.refused != nil
	t.removeLocked()
	d.mu.Unlock()
	if linger {
		_ = t.conn.Close()
		return
	}
	hangUp(t.conn)
}

// leave is called when the connection is closed, as often as one likes. One that
// nobody has claimed by then was of no use, unless there was no room for it.
func (t *Ticket) leave() {
	t.door.mu.Lock()
	defer t.door.mu.Unlock()
	noRoom := t.refused != nil && t.refused.What != LimitMisuse
	if !t.left && !t.claimed.Load() && !noRoom {
		t.door.stats.Unused++
		t.misusedLocked(false)
	}
	t.removeLocked()
}

// misused is called for a connection that has to be closed for what came over it,
// before that.
func (t *Ticket) misused(flood bool) {
	if t == nil {
		return
	}
	t.door.mu.Lock()
	defer t.door.mu.Unlock()
	if !t.left {
		t.misusedLocked(flood)
	}
}

func (t *Ticket) removeLocked() {
	if t.left {
		return
	}
	t.left = true
	t.timer.Stop()
	t.leavePoolsLocked()
	d := t.door
	d.open--
	if t.claimed.Load() {
		if t.owner.connections--; t.owner.connections == 0 {
			delete(d.callers, t.caller)
		}
	}
}

func (t *Ticket) leavePoolsLocked() {
	if t.inAll == nil {
		return
	}
	d := t.door
	if d.crowdOf(t.source).remove(t); t.place.len() == 0 {
		delete(d.places, t.source)
	}
}

// HangUp ends the connection at once.
func (t *Ticket) HangUp() {
	if t != nil {
		hangUp(t.conn)
	}
}

// hangUp closes without a wait; the kernel keeps nothing of a TCP connection.
func hangUp(conn net.Conn) {
	if c, ok := innermost(conn).(*net.TCPConn); ok {
		_ = c.SetLinger(0)
	}
	_ = conn.Close()
}
