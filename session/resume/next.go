package resume

import (
	"math"
	"time"
)

// FrameKind says which field of a Frame is set.
type FrameKind uint8

// The kinds of frames to the caller. FrameNone: there is nothing to send before
// WakeSender, or Frame.Wait.
const (
	FrameNone FrameKind = iota
	FrameData
	FrameEvent
	FrameProgress
)

// Frame is what the caller is to be sent.
type Frame struct {
	Kind     FrameKind
	Data     Data // to be released when it was sent
	Event    Event
	Progress Progress
	Wait     time.Time // with FrameNone: ask again then; zero: no instant changes anything
}

// Data is received bytes.
type Data struct {
	Generation int64
	Offset     int64
	View
}

// Next returns what the attachment is to be sent next, with up to limit bytes. It
// is called by one sender at a time. The error is a SupersededError, an
// ExpiredError or ErrGone.
func (c *Core) Next(now time.Time, epoch int64, limit int) (Frame, error) {
	if err := c.over(now); err != nil {
		return Frame{}, err
	}
	if epoch != c.at.epoch || epoch == 0 {
		return Frame{}, &SupersededError{LastSeq: c.lastSeq}
	}
	g := &c.gen
	before := int64(math.MaxInt64) // bytes from here on come after the event
	e, ok := c.events.after(c.at.events)
	if ok && e.Generation == g.number && e.Offset > g.recv.cursor && c.mutant != mutantEventsFirst {
		ok, before = false, e.Offset
	}
	if ok && e.Terminal && e.Generation == g.number && c.report() { // the last progress comes before the end
		return Frame{Kind: FrameProgress, Progress: c.at.reported}, nil
	}
	if ok {
		c.at.events = e.Seq
		if c.mutant == mutantEventFreedOnSend {
			c.events.ack(e.Seq)
		}
		return Frame{Kind: FrameEvent, Event: e}, nil
	}
	if c.progressDue(now) && c.report() {
		return Frame{Kind: FrameProgress, Progress: c.at.reported}, nil
	}
	if d, ok := c.take(limit, before); ok {
		return Frame{Kind: FrameData, Data: d}, nil
	}
	return Frame{Wait: c.at.due}, nil
}

// Read is Next for a caller without a stream, who says each time where it is: at
// the byte offset, and after the event eventSeq. That is no ack: see Ack. Progress
// is not told. It renews the grace. What is not kept until acked is gone once it
// was returned. The error is an OffsetError, a GenerationError, an AttachedError,
// ErrNoGeneration, an ExpiredError or ErrGone.
func (c *Core) Read(now time.Time, generation, offset, eventSeq int64, limit int) (Frame, error) {
	drop, err := c.admit("read", now, 0, generation)
	if err != nil {
		return Frame{}, err
	}
	g := &c.gen
	if !drop {
		offset = c.Heard(offset, eventSeq)
	}
	if !drop && (offset < g.recv.base || offset > g.recv.end) {
		return Frame{}, &OffsetError{"offset", g.recv.end, offset}
	}
	if eventSeq < 0 || eventSeq > c.events.lastSeq {
		return Frame{}, &OffsetError{"event_seq", c.events.lastSeq, eventSeq}
	}
	if !drop {
		g.recv.cursor = offset
	}
	before := int64(math.MaxInt64)
	if e, ok := c.events.after(eventSeq); ok {
		if e.Generation != g.number || e.Offset <= g.recv.cursor {
			return Frame{Kind: FrameEvent, Event: e}, nil
		}
		before = e.Offset
	}
	if drop {
		return Frame{}, nil
	}
	if d, ok := c.take(limit, before); ok {
		return Frame{Kind: FrameData, Data: d}, nil
	}
	return Frame{}, nil
}
