package resume

import "time"

// receiving is what came from the peer, until the caller has it.
type receiving struct {
	ring         // base: acked where it is kept, sent where it is not
	cursor int64 // the next byte for the attachment
	kept   bool  // until acked, or while there is room: see Keep
	ended  bool  // the peer's direction, at ring.end
	cause  any   // of its end
}

// Room is how many bytes the reader may read from the peer now, into a buffer of
// no more capacity than the generation's ChunkBytes. 0: it has to wait for
// WakeReader. It is called by one reader at a time, and stays true until its
// Received.
func (c *Core) Room(generation int64) int {
	r := &c.gen.recv
	switch {
	case generation != c.gen.number || r.ended || c.gen.terminal > 0 || c.phase != alive:
		return 0
	}
	if c.keepsSent() {
		c.forgetSent()
	}
	if !c.fullReceived() || c.mutant == mutantOldestDropped {
		return c.gen.opts.ChunkBytes
	}
	return r.spare()
}

// Received takes bytes that were read from the peer; b is handed over. What
// belongs to another generation, or came after the end, is dropped. The error is
// ErrRoom.
func (c *Core) Received(generation int64, b *Buffer) error {
	g := &c.gen
	r := &g.recv
	if generation != g.number || r.ended || g.terminal > 0 || c.phase != alive || len(b.mem) == 0 {
		b.Release()
		return nil
	}
	if c.mutant == mutantOldestDropped && r.held+cap(b.mem) > g.opts.ReceiveBytes {
		r.freeTo(r.segments[0].end())
		r.cursor = max(r.cursor, r.base)
	}
	switch {
	case len(b.mem) <= r.spare(): // so that many small records do not hold many large buffers
		r.fill(b.mem)
		b.Release()
	case r.held+cap(b.mem) <= g.opts.ReceiveBytes:
		r.push(b)
	default:
		b.Release()
		return ErrRoom
	}
	c.effects |= WakeSender
	return nil
}

// PeerEnded says that the peer's direction has ended after what was received.
// The first cause stays.
func (c *Core) PeerEnded(generation int64, cause any) {
	r := &c.gen.recv
	if generation != c.gen.number || r.ended || c.phase != alive {
		return
	}
	r.ended, r.cause = true, cause
	c.effects |= WakeReader
	if c.mutant == mutantDeletedAtPeersEnd {
		c.expire(time.Time{})
	}
}

// PeerEnd is where the peer's direction ended, and why.
func (c *Core) PeerEnd() (offset int64, cause any, ended bool) {
	return c.gen.recv.end, c.gen.recv.cause, c.gen.recv.ended
}

// take hands out received bytes for the caller: no more than limit, and none from
// before on, where an event stands.
func (c *Core) take(limit int, before int64) (Data, bool) {
	r := &c.gen.recv
	v := r.at(r.cursor, min(limit, int(before-r.cursor)))
	if len(v.Bytes) == 0 {
		return Data{}, false
	}
	d := Data{Generation: c.gen.number, Offset: r.cursor, View: v}
	r.cursor += int64(len(v.Bytes))
	switch {
	case !r.kept || c.mutant == mutantFreedOnSend:
		c.freeReceived(r.cursor)
	case c.keepsSent() && c.fullReceived():
		c.effects |= WakeReader
	}
	return d, true
}

func (c *Core) freeReceived(offset int64) {
	if c.gen.recv.base >= offset {
		return
	}
	c.gen.recv.freeTo(offset)
	c.effects |= WakeReader
}
