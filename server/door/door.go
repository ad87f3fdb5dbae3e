package door

import (
	"container/list"
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

	mu        sync.Mutex
	open      int
	unclaimed list.List                   // of *Ticket, the quietest first
	addresses map[netip.Prefix]*list.List // the same by address; the zero Prefix is local
	callers   map[string]*owner           // of the claimed ones

	unfinished account           // of all connections
	rpcs       account           // of all callers
	strangers  owner             // of the unclaimed connections
	sources    map[source]*owner // of them, those from one place

	lingering map[string]int // refused RPCs by caller; those of strangers have none

	sourceDebts debts[source] // of useless connections that were never claimed
	callerDebts debts[string] // of those that were

	stats Stats // its gauges are filled when asked for
}

// New returns a Door that nobody has passed.
func New(cfg Config) *Door {
	cfg = cfg.withDefaults()
	d := &Door{
		cfg: cfg, addresses: make(map[netip.Prefix]*list.List), callers: make(map[string]*owner),
		lingering: make(map[string]int), sources: make(map[source]*owner),
	}
	d.unfinished.most = cfg.Unfinished
	d.rpcs.most = int64(cfg.RPCs)
	d.strangers.unfinished.most, d.strangers.unfinished.total = cfg.Unfinished/strangersShare, &d.unfinished
	d.strangers.rpcs.most, d.strangers.streams.most = int64(cfg.RPCs/2), int64(cfg.RPCs)
	return d
}

// yieldAge is how long an unclaimed connection is safe from newcomers. A caller
// authenticates with its first RPC, a few round trips after the connect.
const yieldAge = time.Second

// enter lets a connection in, or says why not. Somebody who had to give way for
// it is returned, and is not counted any more; the caller hangs up on him.
func (d *Door) enter(conn net.Conn) (t, gone *Ticket, err error) {
	t = &Ticket{door: d, conn: conn, source: sourceOf(conn), pays: &d.strangers, last: time.Now()}
	d.mu.Lock()
	defer d.mu.Unlock()
	if wait := overdue(d.sourceDebts.of(t.source, t.last)); wait > 0 {
		d.stats.refuse(LimitMisuse)
		return nil, nil, &LimitError{What: LimitMisuse, Retry: wait}
	}
	pool := d.addresses[t.address]
	if pool == nil {
		pool = list.New()
	}
	if limit, full := d.full(t.address, pool); full != nil {
		if gone = quietest(full, t.last); gone == nil {
			d.stats.refuse(limit.What)
			return nil, nil, limit
		}
		gone.removeLocked()
		d.stats.GaveWay++
	}
	d.open++
	t.comesFromLocked()
	d.stats.Accepted++
	d.addresses[t.address] = pool
	t.inAll, t.inAddress = d.unclaimed.PushBack(t), pool.PushBack(t)
	t.timer = time.AfterFunc(d.cfg.SetupTimeout+d.cfg.UnclaimedTimeout, t.expire)
	return t, gone, nil
}

// full returns the narrowest limit that is reached, and those of whom one would
// have to give way.
func (d *Door) full(address netip.Prefix, pool *list.List) (*LimitError, *list.List) {
	what, limit := LimitAddress, d.limitOf(address)
	if !address.IsValid() {
		what = LimitLocal
	}
	switch {
	case pool.Len() >= limit:
		return &LimitError{What: what, Limit: limit}, pool
	case d.unclaimed.Len() >= d.cfg.Unclaimed:
		return &LimitError{What: LimitUnclaimed, Limit: d.cfg.Unclaimed}, &d.unclaimed
	case d.open >= d.cfg.Max:
		return &LimitError{What: LimitAll, Limit: d.cfg.Max}, &d.unclaimed
	}
	return nil, nil
}

// limitOf returns how many unclaimed connections address may have.
func (d *Door) limitOf(address netip.Prefix) int {
	if !address.IsValid() {
		return d.cfg.Local
	}
	return d.cfg.PerAddress
}

// quietest returns who has to give way, if anybody.
func quietest(of *list.List, now time.Time) *Ticket {
	if first := of.Front(); first != nil {
		if t := first.Value.(*Ticket); now.Sub(t.last) >= yieldAge {
			return t
		}
	}
	return nil
}

// comesFromLocked counts t for its place. What all strangers may bring is eight times as
// much, or less: a place may have two of the largest messages.
func (t *Ticket) comesFromLocked() {
	d := t.door
	t.place = d.sources[t.source]
	if t.place == nil {
		all := &d.strangers
		t.place = &owner{
			unfinished: account{most: max(all.unfinished.most/strangersShare, hoard), total: &all.unfinished},
			streams:    account{most: math.MaxInt64, total: &all.streams},
		}
		d.sources[t.source] = t.place
	}
	t.place.connections++
}

// source is where a connection comes from, as somebody who pays for it.
type source struct {
	address netip.Prefix
	uid     uint32 // of a Unix socket's peer, where that is known
}

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
