package session

import (
	"net/netip"
	"sync/atomic"
	"time"

	"securesocket/tlsengine"
)

// End is what became of one connection, for the operator's eyes: his log and his
// counters. What it points to is immutable.
type End struct {
	Session    string
	Owner      string
	Label      string // as its owner chose it; empty: he chose none
	Generation int64
	Target     Target         // of an accepted connection the peer
	Accepted   bool           // by a listener
	Local      netip.AddrPort // invalid: TCP never was up
	Remote     netip.AddrPort
	Proxied    bool // Remote is a proxy

	TLS       *tlsengine.State // nil: TLS never was up
	Status    tlsengine.Status
	Basis     tlsengine.Basis // why a chain was trusted
	Overruled string          // the problems that the owner accepted

	Cause    CloseCause
	Failure  error // the first; nil: it ended cleanly
	Received int64 // bytes from the peer
	Sent     int64 // bytes to it
	Began    time.Time
	Took     time.Duration
	Timeline Timeline
	// PolicyRevision is the egress policy's that let it through, or refused it.
	PolicyRevision string
}

// reportLocked is what the operator is told.
func (c *connection) reportLocked() End {
	s := c.s
	_, written, received := s.core.Counts()
	e := End{
		Session: s.id, Owner: s.owner, Label: s.settings.Label, Generation: c.gen,
		Target: c.target, Accepted: s.listener != nil && c.gen == 1, Local: c.local, Remote: c.remote, Proxied: len(c.routes) > 1,
		Cause: c.overallCause(), Failure: c.failure, Received: received, Sent: written,
		Began: c.timeline.began, Took: time.Since(c.timeline.began), Timeline: c.timeline.at(time.Now()), PolicyRevision: c.policy,
	}
	if c.tls != nil {
		state := c.tls.State()
		e.TLS = &state
	}
	if r := s.report; r != nil {
		e.Status, e.Basis = r.Status, r.Basis
		if r.Basis == tlsengine.BasisOverride {
			e.Overruled = r.ProblemList()
		}
	}
	return e
}

// moved counts bytes, of all connections that ever were.
type moved struct{ received, sent atomic.Int64 }

// Stats is what the service holds at one moment.
type Stats struct {
	Sessions    int // that exist
	Connections int // that have not ended
	Listeners   int
	Handshakes  int64 // connects, StartTls and accepted handshakes under way
	Buffered    int64 // bytes, as they count for MaxBuffered
	Received    int64 // bytes from peers, ever
	Sent        int64 // bytes to peers, ever
	Owners      int   // of sessions, listeners, or of what is remembered
}

// Stats counts what there is now.
func (r *Registry) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Stats{
		Sessions: len(r.sessions), Connections: r.live, Listeners: len(r.listeners), Owners: len(r.owners),
		Handshakes: r.limits.handshakes.Total(), Buffered: r.buffered.held.Load(),
		Received: r.moved.received.Load(), Sent: r.moved.sent.Load(),
	}
}
