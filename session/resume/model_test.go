package resume

import (
	"encoding/binary"
	"slices"
	"time"
)

// clone is a core that lives on by itself: no memory is shared that either of
// them writes. It is for tests that go back to a state.
func (c *Core) clone() *Core {
	d := *c
	d.gen.recv.ring = c.gen.recv.clone()
	d.gen.send.ring = c.gen.send.clone()
	d.events.events = slices.Clone(c.events.events)
	return &d
}

func (r *ring) clone() ring {
	d := *r
	d.segments = make([]segment, len(r.segments))
	for i, s := range r.segments {
		mem := make([]byte, len(s.mem), cap(s.mem))
		copy(mem, s.mem)
		d.segments[i] = segment{s.offset, NewBuffer(mem)}
	}
	return d
}

// encode appends all of a core's state that its behaviour depends on, as seen
// from now. Left out are the limits of attaches, which a small world does not
// reach, and how long it was detached, which an explorer decides by itself.
func (c *Core) encode(b []byte, now time.Time) []byte {
	g := &c.gen
	flags := byte(c.phase)
	for i, is := range []bool{g.recv.kept, g.recv.ended, g.send.finished, g.send.ended, !c.at.due.IsZero(), !now.Before(c.at.due)} {
		if is {
			flags |= 1 << (i + 1)
		}
	}
	b = append(b, flags)
	for _, v := range [...]int64{
		g.number, g.terminal, g.recv.cursor, g.send.limit, g.send.finish, c.lastSeq, c.at.epoch, c.at.events,
		c.at.reported.Generation, c.at.reported.Accepted, c.at.reported.Written, c.at.reported.SendLimit,
	} {
		b = binary.AppendVarint(b, v)
	}
	b = g.send.encode(g.recv.encode(b))
	b = append(b, byte(c.events.lastSeq), byte(c.events.acked), byte(len(c.events.events)))
	for _, e := range c.events.events {
		b = append(b, byte(e.Seq), byte(e.Generation), byte(e.Offset))
	}
	return b
}

func (r *ring) encode(b []byte) []byte {
	b = append(b, byte(r.base), byte(r.end), byte(len(r.segments)))
	for _, s := range r.segments {
		b = append(b, byte(s.offset), byte(cap(s.mem)), byte(len(s.mem)))
		b = append(b, s.mem...)
	}
	return b
}

// broken names an invariant that does not hold, or is "".
func (c *Core) broken() string {
	g := &c.gen
	if c.phase != alive {
		if len(g.recv.segments)+len(g.send.segments)+len(c.events.events) > 0 || c.at.epoch > 0 {
			return "after the grace nothing remains"
		}
		return ""
	}
	for _, r := range [...]*ring{&g.recv.ring, &g.send.ring} {
		held, at := 0, r.base
		for i, s := range r.segments {
			if s.end() <= at || s.offset > at || i > 0 && s.offset > r.segments[i-1].end() {
				return "a ring has no gap and nothing that is freed"
			}
			held, at = held+cap(s.mem), s.end()
		}
		if held != r.held || len(r.segments) > 0 && at != r.end {
			return "a ring accounts for what it holds"
		}
	}
	switch {
	case g.recv.held > g.opts.ReceiveBytes:
		return "the ring of received bytes is bounded"
	case g.recv.cursor < g.recv.base || g.recv.cursor > g.recv.end:
		return "the cursor is within what is held"
	case len(g.recv.segments) == 0 && g.recv.base != g.recv.end:
		return "received bytes are not lost"
	case g.opts.Resumable && g.send.held > g.opts.SendBytes:
		return "the ring of accepted bytes is bounded"
	case g.opts.Resumable && g.open() && g.number > 0 && g.send.end+g.room() < g.send.limit && c.mutant != mutantReceivingStopped:
		return "what was promised fits"
	case g.opts.Resumable && g.send.end > g.send.limit:
		return "no more is accepted than was promised"
	case g.send.finish >= 0 && g.send.end > g.send.finish:
		return "nothing is accepted after the finish"
	case len(c.events.events) > maxEvents || c.events.bytes > maxEventBytes && slices.ContainsFunc(c.events.events[:len(c.events.events)-1], func(e Event) bool { return !e.Terminal }):
		return "events are bounded"
	case c.at.epoch > c.lastSeq || c.at.epoch > 0 && !c.detached.IsZero():
		return "an attachment is one that was accepted"
	case c.events.acked > c.events.lastSeq || c.at.events > c.events.lastSeq:
		return "no event is acked before it was"
	}
	return ""
}
