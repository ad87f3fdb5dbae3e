package resume

import (
	"slices"
	"time"
)

// Event is a lifecycle fact of the session. The core gives it its place; what it
// says is opaque.
type Event struct {
	Seq         int64 // from 1, over all generations
	Generation  int64 // 0: before the first
	Offset      int64 // it happened after these received bytes of its generation
	At          time.Time
	Terminal    bool  // the last of its generation
	Size        int   // bytes that it costs to keep
	DroppedFrom int64 // > 0: no event, but the news that those from here up to Seq are no longer kept
	Value       any   // immutable
}

// The bounds of the events that are kept.
const (
	maxEvents     = 64
	maxEventBytes = 1 << 20
)

// usualEvents is how many there are until a connection is secure.
const usualEvents = 8

// eventLog keeps the events that are not acked, bounded, in the order of seq.
type eventLog struct {
	events  []Event
	bytes   int
	lastSeq int64
	acked   int64
}

func (l *eventLog) append(e Event) int64 {
	l.lastSeq++
	e.Seq = l.lastSeq
	if l.events == nil {
		l.events = make([]Event, 0, usualEvents)
	}
	l.events = append(l.events, e)
	l.bytes += e.Size
	for (len(l.events) > maxEvents || l.bytes > maxEventBytes) && l.dropOne() {
	}
	return e.Seq
}

// dropOne drops the oldest event that is not terminal, and never the newest.
// Where more than are kept are terminal the oldest goes: so many generations were
// over before anybody asked.
func (l *eventLog) dropOne() bool {
	i := slices.IndexFunc(l.events[:len(l.events)-1], func(e Event) bool { return !e.Terminal })
	if i < 0 && len(l.events) <= maxEvents {
		return false
	}
	i = max(i, 0)
	l.bytes -= l.events[i].Size
	l.events = slices.Delete(l.events, i, i+1)
	return true
}

// after returns the first event beyond seq. Where events in between are no
// longer kept it says which, in their place.
func (l *eventLog) after(seq int64) (e Event, ok bool) {
	i := slices.IndexFunc(l.events, func(e Event) bool { return e.Seq > seq })
	switch {
	case i >= 0 && l.events[i].Seq == seq+1:
		return l.events[i], true
	case i >= 0:
		next := l.events[i]
		return Event{Seq: next.Seq - 1, Generation: next.Generation, At: next.At, DroppedFrom: seq + 1}, true
	}
	return Event{}, false
}

func (l *eventLog) ack(seq int64) {
	l.acked = max(l.acked, min(seq, l.lastSeq))
	n := 0
	for n < len(l.events) && l.events[n].Seq <= l.acked {
		l.bytes -= l.events[n].Size
		n++
	}
	l.events = slices.Delete(l.events, 0, n)
}

// Emit appends an event of the current generation, at what was received so far,
// or of none once that has ended; At, Terminal, Size and Value are the caller's. A terminal event ends the
// generation: what was not written is dropped, what was received stays until it
// is acked. There is one per generation; a second is not taken, and Emit returns
// 0, as it does once the session has expired.
func (c *Core) Emit(e Event) int64 {
	g := &c.gen
	if c.phase != alive || e.Terminal && (g.terminal > 0 || g.number == 0) {
		return 0
	}
	e.Generation, e.Offset, e.DroppedFrom = g.number, g.recv.end, 0
	if g.terminal > 0 {
		e.Generation, e.Offset = 0, 0
	}
	seq := c.events.append(e)
	if e.Terminal {
		g.terminal = seq
		g.recv.ended = true
		g.send.drop()
		c.effects |= WakeReader | WakeWriter | WakeReceiver
	}
	c.effects |= WakeSender
	return seq
}
