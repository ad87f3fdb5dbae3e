package resume

// A connection in plain mode may be told to go on under TLS, between two bytes of
// each direction that the caller names.

// Keep says whether received bytes are kept though the generation is not
// resumable: while it is in plain mode, where they may have to be given back by
// Rewind. They are kept until they are acked, or were sent and their room is
// needed: to wait for an ack could be for ever, since acks wait behind data.
func (c *Core) Keep(keep bool) {
	r := &c.gen.recv
	r.kept = keep || c.gen.opts.Resumable
	if !r.kept {
		c.freeReceived(r.cursor)
	}
}

// keepsSent: what was sent is kept, though nobody relies on it.
func (c *Core) keepsSent() bool { return c.gen.recv.kept && !c.gen.opts.Resumable }

func (c *Core) fullReceived() bool {
	return c.gen.recv.held+c.gen.opts.ChunkBytes > c.gen.bound(c.gen.opts.ReceiveBytes)
}

// forgetSent makes room for a chunk of what was sent.
func (c *Core) forgetSent() {
	r := &c.gen.recv
	for c.fullReceived() && len(r.segments) > 0 && r.segments[0].end() <= r.cursor {
		r.freeTo(r.segments[0].end())
	}
}

// Hold lets no byte of the caller from offset on be written, and no half-close,
// until LetGo. The error is an OffsetError where such a byte was given out to be
// written, or the half-close comes before.
func (c *Core) Hold(offset int64) error {
	s := &c.gen.send
	switch {
	case offset < max(s.base, s.handed):
		return &OffsetError{"send_offset", max(s.base, s.handed), offset}
	case s.finish >= 0 && s.finish < offset:
		return &OffsetError{"send_offset", s.finish, offset}
	}
	s.hold = offset
	return nil
}

// LetGo ends Hold.
func (c *Core) LetGo() {
	c.gen.send.hold = -1
	c.effects |= WakeWriter
}

// KeptFrom is where the received bytes begin that Rewind can go back to.
func (c *Core) KeptFrom() int64 { return c.gen.recv.base }

// Rewind takes back what was received from offset on, as if it had not come, and
// returns a copy of it. The error is an OffsetError where offset is not within what
// is kept.
func (c *Core) Rewind(offset int64) ([]byte, error) {
	r := &c.gen.recv
	switch {
	case offset < r.base:
		return nil, &OffsetError{"receive_offset", r.base, offset}
	case offset > r.end:
		return nil, &OffsetError{"receive_offset", r.end, offset}
	}
	back := r.cut(offset, c.alloc)
	r.cursor = min(r.cursor, offset)
	for i := range c.events.events {
		if e := &c.events.events[i]; e.Generation == c.gen.number {
			e.Offset = min(e.Offset, offset)
		}
	}
	c.gen.rewound, c.gen.back, c.gen.backSeq = true, offset, c.events.lastSeq
	c.effects |= WakeReader
	return back, nil
}

// Heard is where a caller is who has the bytes before offset and the events up to
// eventSeq: who has not heard of a Rewind has bytes that it took back.
func (c *Core) Heard(offset, eventSeq int64) int64 {
	if g := &c.gen; g.rewound && g.back >= g.recv.base && eventSeq <= g.backSeq {
		return min(offset, g.back)
	}
	return offset
}

// cut takes the bytes from offset on out of the ring. What is left of a buffer that
// is cut moves to another one: its bytes may still be on their way to a caller, and
// must not be written over.
func (r *ring) cut(offset int64, alloc func(int) *Buffer) (back []byte) {
	for i, s := range r.segments {
		if s.end() > offset {
			back = append(back, s.mem[max(0, offset-s.offset):]...)
			if s.offset < offset {
				head := alloc(cap(s.mem))
				head.Filled(copy(head.Spare(), s.mem[:offset-s.offset]))
				r.segments[i].Buffer = head
			} else {
				r.held -= cap(s.mem)
			}
			s.Release()
		}
	}
	n := len(r.segments)
	for n > 0 && r.segments[n-1].offset >= offset {
		n--
	}
	clear(r.segments[n:])
	r.segments, r.end = r.segments[:n], offset
	return back
}
