package resume

import "time"

// sending is what came from the caller, until the kernel has it.
type sending struct {
	ring           // base: written; end: accepted
	limit    int64 // the largest send_limit that the caller was told
	finish   int64 // the half-close stands after this byte; -1: none was asked for
	finished bool  // and it was written
	ended    bool  // for another cause
	cause    any
}

func (g *generation) open() bool {
	return g.terminal == 0 && !g.send.ended && (g.send.finish < 0 || g.send.end < g.send.finish)
}

// room is how many bytes fit, however they are cut: the spare end of the last
// buffer and as many chunks as the bound has left.
func (g *generation) room() int64 {
	return room(&g.opts, g.send.held, g.send.spare())
}

func room(o *Options, held, spare int) int64 {
	return int64(max(0, o.SendBytes-held)/o.ChunkBytes*o.ChunkBytes + spare)
}

// Data takes bytes of the caller for the peer. What the service has already is
// trimmed; what belongs to another generation is dropped. full: the session is
// not resumable and has no room now; the caller keeps b, and asks again after
// WakeReceiver. Otherwise b is handed over, with an error too. Epoch 0 is a unary
// Write. The error is a GapError, a WindowError, an EndedError, a
// GenerationError, a SupersededError, an AttachedError, ErrNoGeneration, an
// ExpiredError or ErrGone.
func (c *Core) Data(now time.Time, epoch, generation, offset int64, b *Buffer) (full bool, err error) {
	full, err = c.data(now, epoch, generation, offset, b)
	if !full {
		b.Release()
	}
	return full, err
}

func (c *Core) data(now time.Time, epoch, generation, offset int64, b *Buffer) (full bool, err error) {
	drop, err := c.admit("data", now, epoch, generation)
	if err != nil || drop {
		return false, err
	}
	g := &c.gen
	s := &g.send
	end := offset + int64(len(b.mem))
	switch {
	case offset < 0:
		return false, &OffsetError{"data.offset", 0, offset}
	case offset > s.end && g.open():
		return false, &GapError{"data", s.end, offset}
	case end <= s.end && c.mutant != mutantNoDedupe:
		return false, nil // all of it came before
	case !g.open():
		return false, &EndedError{"data", s.finish >= 0, s.end, s.cause}
	case s.finish >= 0 && end > s.finish:
		return false, &EndedError{"data", true, s.finish, nil}
	case g.opts.Resumable && end > s.limit && c.mutant != mutantReceivingStopped:
		return false, &WindowError{s.limit, end}
	}
	fresh := b.mem[max(0, s.end-offset):]
	if c.mutant == mutantNoDedupe {
		fresh = b.mem
	}
	if (!g.opts.Resumable || c.mutant == mutantReceivingStopped) && s.held > 0 && g.room() < int64(len(fresh)) {
		return true, nil
	}
	c.store(b, fresh)
	c.at.turned = true
	c.moved(now)
	c.effects |= WakeWriter
	return false, nil
}

// store puts accepted bytes, the end of b, into the ring: by reference where they
// fill a good part of a chunk, and what was promised beyond them still fits;
// otherwise by copying them into chunks.
func (c *Core) store(b *Buffer, fresh []byte) {
	g := &c.gen
	s := &g.send
	rest := room(&g.opts, s.held+cap(b.mem), b.spare())
	whole := len(fresh) > s.spare() && len(fresh) >= g.opts.ChunkBytes/2 &&
		s.held+cap(b.mem) <= g.opts.SendBytes && s.end+int64(len(fresh))+rest >= s.limit
	if whole || s.held == 0 && len(fresh) > g.opts.SendBytes { // the latter is not resumable, and takes one payload of any size
		b.refs.Add(1)
		s.push(b, len(b.mem)-len(fresh))
		return
	}
	for fresh = s.fill(fresh); len(fresh) > 0; fresh = s.fill(fresh) {
		s.push(c.alloc(g.opts.ChunkBytes), 0)
	}
}

// Finish half-closes after offset bytes, which the service has: a gap is a
// GapError. Repeated it does nothing; another position is an OffsetError. Other
// errors are as Data's.
func (c *Core) Finish(now time.Time, epoch, generation, offset int64) error {
	drop, err := c.admit("finish", now, epoch, generation)
	if err != nil || drop {
		return err
	}
	g := &c.gen
	switch {
	case offset < 0:
		return &OffsetError{"finish", g.send.end, offset}
	case g.send.finish == offset:
		return nil
	case !g.open():
		return &EndedError{"finish", g.send.finish >= 0, g.send.end, g.send.cause}
	case offset > g.send.end:
		return &GapError{"finish", g.send.end, offset}
	}
	return c.CloseAt(offset)
}

// CloseAt half-closes after offset bytes of the current generation, some of
// which may be still to come. Once set, the position stays: the error is an
// OffsetError, or ErrNoGeneration.
func (c *Core) CloseAt(offset int64) error {
	s := &c.gen.send
	switch {
	case c.gen.number == 0:
		return ErrNoGeneration
	case offset < s.end:
		return &OffsetError{"finish", s.end, offset}
	case s.finish >= 0 && s.finish != offset:
		return &OffsetError{"finish", s.finish, offset}
	}
	s.finish = offset
	c.effects |= WakeWriter
	return nil
}

// CloseNow half-closes after what is accepted: bytes that an earlier position
// still waited for need not come.
func (c *Core) CloseNow() error {
	c.gen.send.finish = -1
	return c.CloseAt(c.gen.send.end)
}

// Write is what is to be written to the peer next.
type Write struct {
	View          // empty with Finish; to be released
	Finish   bool // half-close
	Shutdown bool // nothing more will come
}

// NextWrite returns up to limit bytes that are to be written, until Wrote takes
// them away: one writer at a time. The zero Write: nothing is there before
// WakeWriter.
func (c *Core) NextWrite(generation int64, limit int) Write {
	s := &c.gen.send
	switch {
	case generation != c.gen.number || generation == 0 || s.ended || s.finished || c.gen.terminal > 0 || c.phase != alive:
		return Write{Shutdown: true}
	case s.base < s.end:
		return Write{View: s.at(s.base, limit)}
	}
	return Write{Finish: s.base == s.finish}
}

// Wrote says that the kernel has n bytes more.
func (c *Core) Wrote(now time.Time, generation int64, n int) {
	g := &c.gen
	if generation != g.number || n == 0 || g.send.ended || g.terminal > 0 || c.phase != alive {
		return
	}
	g.send.freeTo(min(g.send.base+int64(n), g.send.end))
	c.moved(now)
	c.effects |= WakeReceiver
}

// FinishWritten says that the half-close was written.
func (c *Core) FinishWritten(now time.Time, generation int64) {
	if generation != c.gen.number || c.phase != alive {
		return
	}
	c.gen.send.finished = true
	c.hasten(now)
}

// WriteEnded says that no more can be written. The bytes that were not are
// dropped, and counted: accepted stays beyond written. The first cause stays.
func (c *Core) WriteEnded(now time.Time, generation int64, cause any) {
	s := &c.gen.send
	if generation != c.gen.number || s.ended || c.phase != alive {
		return
	}
	s.ended, s.cause = true, cause
	s.drop()
	c.hasten(now)
	c.effects |= WakeReceiver | WakeWriter
}
