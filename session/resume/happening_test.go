package resume

import (
	"errors"
)

// do lets one thing happen.
func (w *world) do(s *scope, a action) error {
	c, now := w.core, w.instant()
	g := c.Generation()
	switch a.kind {
	case aReturn:
		st := &w.streams[a.a]
		live := st.epoch > 0 && int64(st.epoch) == c.Epoch()
		if st.epoch > 0 && c.Detach(now, int64(st.epoch)) != live {
			return violated("an old stream's end detaches no other")
		}
		if live {
			if err := w.checkExpiry(); err != nil {
				return err
			}
		}
		st.returned = true
		w.forget(a.a)
	case aUp:
		return w.serve(s, a.a)
	case aDown:
		return w.hear(w.streams[w.current].down.pop())
	case aAttach:
		w.attach()
	case aRead:
		p := &w.peers[g]
		b := p.out.b[0]
		copy(p.out.b[:], p.out.b[1:p.out.n])
		p.out.n--
		p.out.b[p.out.n] = 0
		return c.Received(g, NewBuffer(append(make([]byte, 0, s.chunk), b)))
	case aWrite:
		return w.write()
	case aEnd:
		p := &w.peers[g]
		if !p.ended {
			p.ended = true
			c.PeerEnded(g, "ended")
			c.Emit(Event{})
		}
		if p.finished {
			c.Emit(Event{Terminal: true})
		}
	case aNext:
		f, err := c.Next(now, c.Epoch(), 2)
		if err != nil {
			return violated("the attachment is live, and is refused: %v", err)
		}
		for i := range max(1, len(f.Data.Bytes)) { // the wire has a byte a frame
			if st := &w.streams[a.a]; !st.cut && f.Kind != FrameNone {
				st.down.push(wire(f, i))
			}
		}
		f.Data.Release()
	case aSend:
		w.streams[w.current].up.push(frame{kind: fData, gen: w.gen, off: w.next, b: callerByte(w.gen, w.next)})
		w.next++
		w.sentMax = max(w.sentMax, w.next)
	case aFinish:
		w.streams[w.current].up.push(frame{kind: fFinish, gen: w.gen, off: s.caller})
		w.finished = true
	case aAck:
		w.streams[w.current].up.push(frame{kind: fAck, gen: w.gen, off: w.recv, event: w.event})
		w.acked, w.ackedEvent = w.recv, w.event
	case aTick:
		w.now += c.at.due.Sub(now)
	case aCut:
		st := &w.streams[w.current]
		st.cut = true
		st.up.truncate(a.a)
		st.down.truncate(a.b)
	case aDouble:
		w.doubles--
		i := w.free()
		w.streams[i] = stream{used: true, cut: true}
		w.streams[i].up.push(w.streams[w.current].up.frames[0])
	case aReconnect:
		w.reconnects--
		c.Emit(Event{Terminal: true})
		w.begin(s)
	case aEvent:
		w.events--
		c.Emit(Event{})
	}
	return nil
}

// forget frees the place of a stream that nobody looks at any more.
func (w *world) forget(i int8) {
	if st := &w.streams[i]; st.returned && i != w.current {
		*st = stream{}
	}
}

func (w *world) free() int8 {
	for i := range int8(maxStreams) {
		if !w.streams[i].used {
			return i
		}
	}
	panic("a world with too few streams")
}

func (w *world) attach() {
	old := w.current
	w.current = w.free()
	if old >= 0 {
		w.streams[old].down.truncate(0)
		w.forget(old)
	}
	w.seq++
	w.attempts = max(0, w.attempts-1)
	w.attached, w.finished = false, false
	w.next = w.accepted          // it may send on at once; what was accepted is trimmed
	w.acked, w.ackedEvent = 0, 0 // an attach is no ack
	w.streams[w.current] = stream{used: true}
	w.streams[w.current].up.push(frame{kind: fAttach, seq: w.seq, gen: w.gen, off: w.recv, event: w.event})
}

func (w *world) write() error {
	c, g := w.core, w.core.Generation()
	p := &w.peers[g]
	wr := c.NextWrite(g, 1)
	defer wr.Release()
	if wr.Finish {
		p.finished = true
		c.FinishWritten(w.instant(), g)
		return nil
	}
	b := wr.Bytes[0]
	if b != callerByte(int8(g), p.got) {
		return violated("the peer of generation %d reads %#x as byte %d", g, b, p.got)
	}
	p.got++
	c.Wrote(w.instant(), g, 1)
	if !p.ended {
		p.say(b ^ 0x80)
	}
	return nil
}

// serve is a stream's handler with one frame.
func (w *world) serve(s *scope, i int8) error {
	c, now, st := w.core, w.instant(), &w.streams[i]
	f := st.up.frames[0]
	if f.kind == fAttach {
		st.up.pop()
		return w.serveAttach(s, i, f)
	}
	fenced := int64(st.epoch) != c.Epoch()
	var err error
	switch f.kind {
	case fData:
		full, derr := c.Data(now, int64(st.epoch), int64(f.gen), int64(f.off), []byte{f.b})
		if full {
			return violated("a resumable stream is always received from")
		}
		err = derr
	case fAck:
		err = c.Ack(now, int64(st.epoch), int64(f.gen), int64(f.off), int64(f.event))
	case fFinish:
		err = c.Finish(now, int64(st.epoch), int64(f.gen), int64(f.off))
	}
	st.up.pop()
	old := (*SupersededError)(nil)
	switch {
	case fenced && !errors.As(err, &old):
		return violated("a frame of an older attachment is not discarded: %v", err)
	case !fenced && err != nil:
		return violated("an honest caller's frame is refused: %v", err)
	}
	return nil
}

func (w *world) serveAttach(s *scope, i int8, f frame) error {
	c, st := w.core, &w.streams[i]
	first := w.newest == 0
	args := AttachArgs{Token: make([]byte, 32), Seq: int64(f.seq), Offset: int64(f.off), Generation: int64(f.gen), EventSeq: int64(f.event)}
	if f.gen == 0 { // an Open, perhaps again
		args.Token, args.Trusted, args.Generation = nil, true, min(c.Generation(), 1)
	}
	a, err := c.Attach(w.instant(), args)
	if f.seq <= w.newest {
		if old := (*SupersededError)(nil); !errors.As(err, &old) || old.LastSeq != int64(w.newest) {
			return violated("a delayed attach is not refused: %v", err)
		}
		st.returned, st.cut = true, true // where its double was first, the caller has to try again
		w.forget(i)
		return nil
	}
	if err != nil {
		return violated("an honest caller's newest attach is refused: %v", err)
	}
	w.newest = f.seq
	if first {
		w.begin(s)
		a.SendLimit, a.Generation = c.Progress().SendLimit, 1
	}
	st.epoch = f.seq
	if !st.cut {
		st.down.push(frame{kind: fAttached, gen: int8(a.Generation), off: int8(a.Offset), accepted: int8(a.Accepted), limit: int8(min(a.SendLimit, 100))})
	}
	return nil
}

// wire is a frame as the caller sees it; i counts the bytes of data.
func wire(f Frame, i int) frame {
	switch f.Kind {
	case FrameData:
		return frame{kind: fData, gen: int8(f.Data.Generation), off: int8(f.Data.Offset) + int8(i), b: f.Data.Bytes[i]}
	case FrameEvent:
		w := frame{kind: fEvent, gen: int8(f.Event.Generation), off: int8(f.Event.Offset), event: int8(f.Event.Seq)}
		if f.Event.Terminal {
			w.b = 1
		}
		return w
	}
	p := f.Progress
	return frame{kind: fProgress, gen: int8(p.Generation), off: int8(p.Written), accepted: int8(p.Accepted), limit: int8(min(p.SendLimit, 100))}
}

// hear is the caller with one frame.
func (w *world) hear(f frame) error {
	switch {
	case f.gen > w.gen: // a new generation begins at 0
		w.gen = f.gen
		w.next, w.sentMax, w.accepted, w.limit, w.recv, w.acked, w.finished = 0, 0, 0, 0, 0, 0, false
	case f.gen < w.gen && f.kind != fEvent:
		return violated("bytes of generation %d come after generation %d began", f.gen, w.gen)
	}
	p := &w.peers[f.gen]
	switch f.kind {
	case fData:
		if f.off != w.recv {
			return violated("byte %d comes where %d is expected: a gap, or a double", f.off, w.recv)
		}
		if f.off >= p.logged || p.log[f.off] != f.b {
			return violated("byte %d is not what the peer sent", f.off)
		}
		w.recv++
	case fEvent:
		if f.event != w.event+1 {
			return violated("event %d comes after %d", f.event, w.event)
		}
		// Once a generation is over its bytes are gone; its events are not.
		if f.gen == w.gen && f.off != w.recv && int64(f.gen) == w.core.Generation() {
			return violated("an event after byte %d comes after byte %d", f.off, w.recv)
		}
		w.event = f.event
		if f.b == 1 {
			w.terminal = f.gen
		}
	case fAttached, fProgress:
		if f.kind == fAttached {
			w.attached = true
			if f.off != w.recv {
				return violated("attached: the next byte is %d, and %d is expected", f.off, w.recv)
			}
		} else if f.off > f.accepted || f.off > p.got {
			return violated("written_offset is more than was written")
		}
		if f.accepted < w.accepted || f.accepted > w.sentMax {
			return violated("accepted_offset is %d after %d, of %d sent", f.accepted, w.accepted, w.sentMax)
		}
		if f.limit < w.limit {
			return violated("send_limit shrinks from %d to %d", w.limit, f.limit)
		}
		w.accepted, w.limit = f.accepted, f.limit
		w.next = max(w.next, w.accepted)
	}
	return nil
}

// checkExpiry looks at what would be if nobody came back.
func (w *world) checkExpiry() error {
	c := w.core
	d := c.Deadline()
	if d.IsZero() {
		if !c.Settled() {
			return violated("what is detached and not settled has a grace")
		}
		return nil
	}
	late := c.clone()
	g := &c.gen
	if late.Tick(d.Add(-1)) != nil {
		return violated("a session is kept for its grace")
	}
	end := (*ExpiredError)(nil)
	if !errors.As(late.Tick(d), &end) || *end != (ExpiredError{g.number, g.send.end, g.send.base, g.recv.end}) {
		return violated("a session that expires says what became of the bytes")
	}
	if why := late.broken(); why != "" {
		return violation(why)
	}
	return nil
}
