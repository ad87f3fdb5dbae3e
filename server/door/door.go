package door

import (
	"math"
	"net"
	"net/netip"
	"sync"
	"time"

	"securesocket/server/peeruid"
)

// Door counts connections. Made by New; it needs no closing, since its
// connections are closed by those who accepted them.
type Door struct {
	cfg  Config
	log  refusals // of connections
	ends refusals // of those that had been let in

	mu      sync.Mutex
	open    int
	remote  crowd             // the unclaimed ones over TCP
	local   crowd             // and all others, those of Unix sockets
	places  map[source]*place // where they come from
	callers map[string]*owner // of the claimed ones

	unfinished account // of all connections
	rpcs       account // of all callers
	strangers  owner   // of the unclaimed connections

	lingering map[string]int // refused RPCs by caller; those of strangers have none

	sourceDebts debts[source] // of useless connections that were never claimed
	callerDebts debts[string] // of those that were

	stats Stats // its gauges are filled when asked for
}

// New returns a Door that nobody has passed.
func New(cfg Config) *Door {
	cfg = cfg.withDefaults()
	d := &Door{
		cfg: cfg, places: make(map[source]*place), callers: make(map[string]*owner),
		lingering: make(map[string]int),
	}
	d.unfinished.most = cfg.Unfinished
	d.rpcs.most = int64(cfg.RPCs)
	d.strangers.unfinished.most, d.strangers.unfinished.total = cfg.Unfinished/strangersShare, &d.unfinished
	d.strangers.rpcs.most, d.strangers.streams.most = int64(cfg.RPCs/2), int64(cfg.RPCs)
	return d
}

// enter lets a connection in, or says why not. Somebody who had to give way for
// it is returned, and is not counted any more; the caller hangs up on him.
func (d *Door) enter(conn net.Conn) (t, gone *Ticket, err error) {
	return d.enterFrom(sourceOf(conn), conn)
}

func (d *Door) enterFrom(from source, conn net.Conn) (t, gone *Ticket, err error) {
	t = &Ticket{door: d, conn: conn, source: from, pays: &d.strangers, last: time.Now()}
	d.mu.Lock()
	defer d.mu.Unlock()
	if wait := overdue(d.sourceDebts.of(t.source, t.last)); wait > 0 {
		d.stats.refuse(LimitMisuse)
		return nil, nil, &LimitError{What: LimitMisuse, Retry: wait}
	}
	gone, full := d.makeRoom(t.source, t.last)
	if full != nil {
		d.stats.refuse(full.What)
		return nil, nil, full
	}
	if gone != nil {
		gone.removeLocked()
		d.stats.GaveWay++
	}
	d.open++
	d.stats.Accepted++
	t.place = d.placeOf(t.source)
	d.crowdOf(t.source).add(t)
	t.timer = time.AfterFunc(d.cfg.SetupTimeout+d.cfg.UnclaimedTimeout, t.expire)
	return t, gone, nil
}

// unclaimed is how many connections are nobody's yet.
func (d *Door) unclaimed() int { return d.remote.quiet.Len() + d.local.quiet.Len() }

func (d *Door) crowdOf(s source) *crowd {
	if s.local() {
		return &d.local
	}
	return &d.remote
}

// placeOf returns what connections of s are counted by. What all strangers may bring is eight
// times as much, or less: a place may have two of the largest messages.
func (d *Door) placeOf(s source) *place {
	p := d.places[s]
	if p == nil {
		all := &d.strangers
		p = &place{owner: owner{
			unfinished: account{most: max(all.unfinished.most/strangersShare, hoard), total: &all.unfinished},
			streams:    account{most: math.MaxInt64, total: &all.streams},
		}}
		d.places[s] = p
	}
	return p
}

// source is where a connection comes from, as somebody who pays for it.
type source struct {
	address netip.Prefix
	uid     uint32 // of a Unix socket's peer, where that is known
}

// local reports whether it has no address.
func (s source) local() bool { return !s.address.IsValid() }

func sourceOf(conn net.Conn) source {
	s := source{address: addressOf(conn.RemoteAddr())}
	if unix, ok := innermost(conn).(*net.UnixConn); ok {
		s.uid, _ = peeruid.Of(unix) // without it all pay together
	}
	return s
}

// addressOf returns what an unclaimed connection counts for. Somebody who has an
// IPv6 network has all of its addresses.
func addressOf(a net.Addr) netip.Prefix {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	p, _ := ip.Prefix(bits)
	return p
}
