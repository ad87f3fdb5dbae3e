package resume

import "time"

// sending is what came from the caller, until the kernel has it.
type sending struct {
	ring           // base: written; end: accepted
	limit    int64 // the largest send_limit that the caller was told
	finish   int64 // the half-close stands after this byte; -1: none was asked for
	hold     int64 // no byte from here on is to be written, and no half-close; -1: there is no such
	handed   int64 // the bytes before it were given out to be written
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
	return int64(max(0, g.bound(g.opts.SendBytes)-g.send.held)/g.opts.ChunkBytes*g.opts.ChunkBytes + g.send.spare())
}

// sendRoom is the room of an empty ring.
func (o *Options) sendRoom() int64 { return int64(o.SendBytes / o.ChunkBytes * o.ChunkBytes) }

// Data takes bytes of the caller for the peer: it copies the pieces, which are
// one payload. What the service has already is trimmed; what belongs to another
// generation is dropped. full: the session is not resumable, or epoch is 0, and
// there is no room now; ask again after WakeReceiver. Epoch 0 is a unary Write. The
// error is a GapError, a WindowError, an EndedError, a
// GenerationError, a SupersededError, an AttachedError, ErrNoGeneration, an
// ExpiredError or ErrGone.
func (c *Core) Data(now time.Time, epoch, generation, offset int64, pieces ...[]byte) (full bool, err error) {
	drop, err := c.admit("data", now, epoch, generation)
	if err != nil || drop {
		return false, err
	}
	g := &c.gen
	s := &g.send
	size := 0
	for _, p := range pieces {
		size += len(p)
	}
	end := offset + int64(size)
	stops := !g.opts.Resumable || epoch == 0 || c.mutant == mutantReceivingStopped
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
	case !stops && end > s.limit:
		return false, &WindowError{s.limit, end}
	}
	had := s.end - offset
	if c.mutant == mutantNoDedupe {
		had = 0
	}
	switch fresh := int64(size) - had; {
	case !stops || g.room() >= fresh || !g.opts.Resumable && s.held == 0: // the latter takes one payload of any size
	case g.opts.Resumable && fresh > g.opts.sendRoom():
		return false, &WindowError{s.base + g.opts.sendRoom(), end} // of a unary Write
	default:
		return true, nil
	}
	for _, p := range pieces {
		skip := min(had, int64(len(p)))
		had -= skip
		c.store(p[skip:])
	}
	s.limit = max(s.limit, s.end)
	c.moved(now)
	c.effects |= WakeWriter
	return false, nil
}

// store copies accepted bytes into chunks.
func (c *Core) store(p []byte) {
	s := &c.gen.send
	for p = s.fill(p); len(p) > 0; p = s.fill(p) {
		s.push(c.alloc(c.gen.opts.ChunkBytes))
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
	case offset < s.hold: // the bytes up to there are waited for
		return &OffsetError{"finish", s.hold, offset}
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
	case s.hold >= 0 && s.base >= s.hold:
		return Write{}
	case s.base < s.end:
		if s.hold >= 0 {
			limit = int(min(int64(limit), s.hold-s.base))
		}
		w := Write{View: s.at(s.base, limit)}
		s.handed = s.base + int64(len(w.Bytes))
		return w
	}
	return Write{Finish: s.base == s.finish}
}

// Unwritten says whether NextWrite would have anything.
func (c *Core) Unwritten() bool {
	s := &c.gen.send
	return s.base < s.end || s.finish >= 0 && !s.finished
}

// Wrote says that the kernel has n bytes more. Those that it got while the
// writing was ended, or the session expired, still count.
func (c *Core) Wrote(now time.Time, generation int64, n int) {
	g := &c.gen
	switch {
	case generation != g.number || n == 0 || g.terminal > 0:
		return
	case c.phase != alive:
		c.final.Written = min(c.final.Written+int64(n), c.final.Accepted)
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
