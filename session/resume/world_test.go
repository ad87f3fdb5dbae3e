package resume

import (
	"fmt"
	"time"
)

// A world is a caller, a network, a service around a real Core, and a peer,
// small enough that every order of what can happen is explored. A stream's acks
// and bytes share one queue per direction, as on the wire. The caller is honest:
// it keeps what was not accepted, takes a new attach_seq for every try, and acks
// what it has read.

// scope is the size of a world.
type scope struct {
	name       string
	caller     int8 // bytes that the caller sends in each generation
	greeting   int8 // bytes that the peer sends by itself; it echoes the others
	attempts   int8 // attaches, the Open included
	doubles    int8 // opens and attaches that come twice
	reconnects int8
	events     int8 // in the middle of the bytes
	chunk      int  // of the rings
	receive    int
	send       int
	queue      int8 // frames to the caller that the network holds
	earlyEnd   bool // the peer may end its direction when it likes, and reads on
	limit      int  // of the states to be seen; 0: all
}

const (
	maxStreams = 6
	maxQueue   = 8
	maxBytes   = 8
)

type frameKind uint8

const (
	fAttach   frameKind = iota + 1 // up: seq, gen, off, event
	fData                          // both: gen, off, b
	fAck                           // up: gen, off, event
	fFinish                        // up: gen, off
	fAttached                      // down: gen, off, accepted, limit
	fEvent                         // down: gen, off, event, b = terminal
	fProgress                      // down: gen, accepted, limit, off = written
)

type frame struct {
	kind                                  frameKind
	gen, off, seq, event, accepted, limit int8
	b                                     byte
}

type queue struct {
	n      int8
	frames [maxQueue]frame
}

func (q *queue) push(f frame) { q.frames[q.n] = f; q.n++ }

func (q *queue) pop() frame {
	f := q.frames[0]
	copy(q.frames[:], q.frames[1:q.n])
	q.n--
	q.frames[q.n] = frame{}
	return f
}

func (q *queue) truncate(n int8) {
	for ; q.n > n; q.n-- {
		q.frames[q.n-1] = frame{}
	}
}

// stream is one Attach RPC.
type stream struct {
	used, cut, returned bool // returned: its handler in the service has ended
	epoch               int8 // 0: its attach has not come yet
	up, down            queue
}

type world struct {
	core    *Core
	now     time.Duration
	streams [maxStreams]stream

	// The caller. What concerns bytes is of its generation gen.
	current            int8 // its stream; -1: none
	seq                int8
	attached           bool
	gen                int8
	next, sentMax      int8 // to be sent; the furthest ever
	accepted, limit    int8
	finished           bool // on this stream
	recv, acked        int8 // acked: sent on this stream
	event, ackedEvent  int8
	terminal           int8 // of the last generation whose terminal event it has
	attempts, doubles  int8 // left
	reconnects, events int8 // left

	// The peers, by generation.
	peers [3]peer

	newest int8 // the largest attach_seq that came to the service
}

type peer struct {
	got      int8 // bytes from the caller
	finished bool // the caller's end came
	ended    bool
	out      queueBytes     // not yet read by the service
	log      [maxBytes]byte // all that it sent
	logged   int8
}

type queueBytes struct {
	n int8
	b [maxBytes]byte
}

func (p *peer) say(b byte) {
	p.out.b[p.out.n] = b
	p.out.n++
	p.log[p.logged] = b
	p.logged++
}

func callerByte(gen, i int8) byte { return byte(0x40 + 8*gen + i) }

func newWorld(s *scope, m mutant) *world {
	w := &world{core: New(Config{}), current: -1, attempts: s.attempts, doubles: s.doubles, reconnects: s.reconnects, events: s.events}
	w.core.mutant = m
	w.core.attaches.burst, w.core.failed.burst = 1000, 1000
	return w
}

func (w *world) clone() *world {
	d := *w
	d.core = w.core.clone()
	return &d
}

// instant is the world's clock; it moves by tick alone.
func (w *world) instant() time.Time { return time.Unix(1, 0).Add(w.now) }

func (w *world) begin(s *scope) {
	gen := w.core.Begin(w.instant(), Options{Resumable: true, ReceiveBytes: s.receive, SendBytes: s.send, ChunkBytes: s.chunk})
	w.core.Emit(Event{})
	for i := range s.greeting {
		w.peers[gen].say(byte(0x20*gen) + byte(i))
	}
}

// violation is an invariant that does not hold.
type violation string

func (v violation) Error() string { return string(v) }

func violated(format string, args ...any) error { return violation(fmt.Sprintf(format, args...)) }

type actionKind uint8

const (
	aReturn actionKind = iota + 1 // the handler of a stream that is cut or superseded ends
	aUp                           // the service takes a frame
	aDown                         // the caller takes a frame
	aAttach
	aRead  // the service reads a byte of the peer
	aWrite // the peer reads a byte, or the end, of the service
	aEnd   // the peer ends
	aNext  // the service sends a frame
	aSend
	aFinish
	aAck
	aTick
	aCut
	aDouble
	aReconnect
	aEvent
)

// action is something that can happen now; a and b say to what.
type action struct {
	kind actionKind
	a, b int8
}

func (a action) String() string {
	return [...]string{"", "return", "up", "down", "attach", "read", "write", "end", "next", "send", "finish", "ack", "tick", "cut", "double", "reconnect", "event"}[a.kind] +
		fmt.Sprintf("(%d,%d)", a.a, a.b)
}

// actions appends what can happen, that which goes on first and faults last.
func (w *world) actions(s *scope, faults bool, out []action) []action {
	add := func(k actionKind, a, b int8) { out = append(out, action{k, a, b}) }
	c := w.core
	for i := range int8(maxStreams) {
		st := &w.streams[i]
		if st.used && !st.returned && (st.cut && st.up.n == 0 || st.epoch > 0 && int64(st.epoch) != c.Epoch()) {
			add(aReturn, i, 0)
		}
	}
	for i := range int8(maxStreams) {
		if st := &w.streams[i]; st.used && !st.returned && st.up.n > 0 && !w.stopped(st) {
			add(aUp, i, 0)
		}
	}
	cur := (*stream)(nil)
	if w.current >= 0 {
		cur = &w.streams[w.current]
	}
	if cur != nil && cur.down.n > 0 {
		add(aDown, 0, 0)
	}
	if (cur == nil || cur.cut) && (w.attempts > 0 || !faults) {
		add(aAttach, 0, 0)
	}
	g := c.Generation()
	if p := &w.peers[g]; g > 0 {
		if p.out.n > 0 && c.Room(g) > 0 {
			add(aRead, 0, 0)
		}
		if wr := c.NextWrite(g, 1); p.out.n == 0 && !p.finished && (len(wr.Bytes) > 0 || wr.Finish) {
			add(aWrite, 0, 0)
		}
		if p.out.n == 0 && (p.finished && c.gen.terminal == 0 || s.earlyEnd && !p.ended) {
			add(aEnd, 0, 0)
		}
	}
	for i := range int8(maxStreams) {
		st := &w.streams[i]
		if st.used && !st.returned && st.epoch > 0 && int64(st.epoch) == c.Epoch() && (st.cut || st.down.n < s.queue) && w.hasNext() {
			add(aNext, i, 0)
		}
	}
	if cur != nil && !cur.cut && cur.up.n < maxQueue {
		if w.next < s.caller && w.next < w.limit && w.gen > 0 && w.terminal < w.gen {
			add(aSend, 0, 0)
		}
		if w.next == s.caller && !w.finished && w.gen > 0 && w.terminal < w.gen {
			add(aFinish, 0, 0)
		}
		if w.attached && (w.recv > w.acked || w.event > w.ackedEvent) {
			add(aAck, 0, 0)
		}
	}
	if due := c.at.due; !due.IsZero() && w.instant().Before(due) {
		add(aTick, 0, 0)
	}
	if !faults {
		return out
	}
	if cur != nil && !cur.cut && w.attempts > 0 {
		for up := range cur.up.n + 1 {
			for down := range cur.down.n + 1 {
				add(aCut, up, down)
			}
		}
	}
	if cur != nil && w.doubles > 0 && cur.up.n > 0 && cur.up.frames[0].kind == fAttach {
		add(aDouble, 0, 0)
	}
	if g > 0 && c.gen.terminal == 0 && w.reconnects > 0 {
		add(aReconnect, 0, 0)
	}
	if g > 0 && c.gen.terminal == 0 && w.events > 0 {
		add(aEvent, 0, 0)
	}
	return out
}

// stopped is whether the handler of a stream waits for room, as only a mistake
// lets it.
func (w *world) stopped(st *stream) bool {
	g := &w.core.gen
	f := &st.up.frames[0]
	return w.core.mutant == mutantReceivingStopped && f.kind == fData && int64(f.off) == g.send.end && g.send.held > 0 && g.room() == 0 &&
		int64(st.epoch) == w.core.Epoch()
}

// hasNext is whether Next would send something.
func (w *world) hasNext() bool {
	c := w.core
	if e, ok := c.events.after(c.at.events); ok && (e.Generation != c.gen.number || e.Offset <= c.gen.recv.cursor || c.mutant == mutantEventsFirst) {
		return true
	}
	return c.gen.recv.cursor < c.gen.recv.end || !c.at.due.IsZero() && !w.instant().Before(c.at.due)
}

// complete is whether all that can be asked for has come true.
func (w *world) complete(s *scope) bool {
	g := w.core.Generation()
	p := &w.peers[g]
	return g > 0 && w.gen == int8(g) && p.got == s.caller && p.finished && p.out.n == 0 &&
		w.recv == p.logged && w.terminal == w.gen && w.core.Settled()
}
