package session

import (
	"net/netip"
	"time"

	"securesocket/session/resume"
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
		TLS      tlsengine.State
		Report   *tlsengine.Report
		Greeting []byte // what the peer said before TLS; nil: nothing was waited for
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

// eventOf is an event that the core keeps, as callers see it.
func eventOf(e resume.Event) *Event {
	out := &Event{Seq: e.Seq, Generation: e.Generation, Offset: e.Offset, Time: e.At}
	if e.DroppedFrom > 0 {
		out.Kind = EventsDropped{First: e.DroppedFrom, Last: e.Seq}
	} else {
		out.Kind, _ = e.Value.(EventKind)
	}
	return out
}

// sizeOf is what an event counts for among those that its session keeps: chains are
// what is large, by their DER. What they cost is factsLocked's.
func sizeOf(kind EventKind) int {
	n := ownSizeOf(kind)
	if r := reportOf(kind); r != nil {
		for _, c := range r.PeerChain {
			n += len(c.Raw)
		}
	}
	return n
}

// ownSizeOf estimates what an event costs to keep without its report.
func ownSizeOf(kind EventKind) int {
	const event, addr = 256, 24
	switch k := kind.(type) {
	case SecureConnected:
		return event + len(k.Greeting)
	case HostFound:
		return event + addr*len(k.Addrs)
	}
	return event
}
