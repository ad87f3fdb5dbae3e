package session

import (
	"net/netip"
	"slices"
	"time"

	"securesocket/tlsengine"
)

// Event is a lifecycle fact of a session. Events are immutable.
type Event struct {
	Seq        int64 // from 1, over all generations
	Generation int64
	Offset     int64 // it happened after these received bytes of its generation
	Time       time.Time
	Kind       EventKind
}

// EventKind is one of the types below.
type EventKind interface{ isEvent() }

// The kinds of events; the wire contract says what each means.
type (
	// StateChanged says that the socket's state changed.
	StateChanged struct{ Old, New State }
	// HostFound has the host's addresses, in the order in which they are tried.
	HostFound struct{ Addrs []netip.Addr }
	// TCPConnected says that TCP is up.
	TCPConnected struct{ Local, Remote netip.AddrPort }
	// SecureConnected says that TLS is up and the chain is trusted.
	SecureConnected struct {
		TLS    tlsengine.State
		Report *tlsengine.Report
	}
	// ModeChanged says that what is spoken changed.
	ModeChanged struct{ Mode Mode }
	// CertificateError says that the peer's chain has problems. It is refused,
	// unless it is Overridable, and a Question follows that is answered so.
	CertificateError struct {
		Report      *tlsengine.Report
		Overridable bool
	}
	// SecurityError says that the egress policy refused the target.
	SecurityError struct{ Err *PolicyError }
	// IOError says that something failed.
	IOError struct {
		Err   error
		Phase Phase
	}
	// RemoteClosed says that the peer ended its direction after Final bytes.
	RemoteClosed struct {
		Cause CloseCause
		Final int64
	}
	// Closed says that the generation has ended; it is its last event.
	Closed struct {
		Cause                 CloseCause
		Err                   error // nil after a clean end
		Received, Sent        int64
		ReadCause, WriteCause CloseCause
	}
	// EventsDropped says which events are no longer kept.
	EventsDropped struct{ First, Last int64 }
	// Draining says that the service stops at the deadline.
	Draining struct{ Deadline time.Time }
)

func (StateChanged) isEvent()     {}
func (HostFound) isEvent()        {}
func (TCPConnected) isEvent()     {}
func (SecureConnected) isEvent()  {}
func (ModeChanged) isEvent()      {}
func (CertificateError) isEvent() {}
func (SecurityError) isEvent()    {}
func (IOError) isEvent()          {}
func (RemoteClosed) isEvent()     {}
func (Closed) isEvent()           {}
func (EventsDropped) isEvent()    {}
func (Draining) isEvent()         {}

// The bounds of what a session keeps of its past.
const (
	maxEvents     = 64
	maxEventBytes = 1 << 20
)

// eventLog keeps a session's events, bounded, in the order of seq. Guarded by
// the session's mu.
type eventLog struct {
	events  []*Event
	bytes   int
	lastSeq int64
}

func (l *eventLog) append(e *Event) {
	l.lastSeq++
	e.Seq = l.lastSeq
	l.events = append(l.events, e)
	l.bytes += e.size()
	for len(l.events) > 1 && (len(l.events) > maxEvents || l.bytes > maxEventBytes) {
		l.dropOne()
	}
}

// dropOne drops the oldest event that is not terminal, or the oldest where all
// are; never the newest.
func (l *eventLog) dropOne() {
	i := slices.IndexFunc(l.events[:len(l.events)-1], func(e *Event) bool {
		_, terminal := e.Kind.(Closed)
		return !terminal
	})
	i = max(i, 0)
	l.bytes -= l.events[i].size()
	l.events = slices.Delete(l.events, i, i+1)
}

// after returns the first event beyond seq, or nil. Where events in between
// were dropped it is an EventsDropped with the seq of the last of them.
func (l *eventLog) after(seq int64) *Event {
	i, _ := slices.BinarySearchFunc(l.events, seq+1, func(e *Event, seq int64) int { return int(e.Seq - seq) })
	if i == len(l.events) {
		return nil
	}
	e := l.events[i]
	if e.Seq == seq+1 {
		return e
	}
	return &Event{
		Seq: e.Seq - 1, Generation: e.Generation, Offset: 0, Time: e.Time,
		Kind: EventsDropped{First: seq + 1, Last: e.Seq - 1},
	}
}

// size estimates what an event costs to keep: chains are what is large.
func (e *Event) size() int {
	n := 256
	var r *tlsengine.Report
	switch k := e.Kind.(type) {
	case CertificateError:
		r = k.Report
	case SecureConnected:
		r = k.Report
	}
	if r != nil {
		for _, c := range r.PeerChain {
			n += len(c.Raw)
		}
	}
	return n
}
