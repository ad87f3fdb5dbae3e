package resume

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// machine drives a core with random frames and sizes and compares every byte
// with what was put in. The caller of it is honest, but forgets at each attach
// what it likes of what it did not ack.
type machine struct {
	t   *rapid.T
	c   *Core
	now time.Time

	opts            Options
	seq, read       int64
	acked           int64
	event           int64
	written         int64
	sent            int64
	offered         []*Buffer // that the core was given
	waiting         Effects
	progressLimit   int64
	generationBytes byte
}

// peerByte and callerBytes are the oracle: what stands at an offset.
func (m *machine) expected(offset int64, up bool) byte {
	b := byte(offset*7+offset>>8) + m.generationBytes
	if up {
		b = ^b
	}
	return b
}

func (m *machine) bytes(offset int64, n, capacity int) *Buffer {
	mem := make([]byte, n, capacity)
	for i := range mem {
		mem[i] = m.expected(offset+int64(i), false)
	}
	b := NewBuffer(mem)
	m.offered = append(m.offered, b)
	return b
}

func (m *machine) begin() {
	require.Equal(m.t, m.c.Generation()+1, m.c.Begin(m.now, m.opts))
	m.generationBytes = byte(m.c.Generation() * 31)
	m.read, m.acked, m.written, m.sent = 0, 0, 0, 0
	m.progressLimit = m.c.Progress().SendLimit
}

func (m *machine) attach(t *rapid.T) {
	m.seq += rapid.Int64Range(1, 3).Draw(t, "ahead")
	m.read = rapid.Int64Range(m.acked, m.read).Draw(t, "read")
	a, err := m.c.Attach(m.now, AttachArgs{Token: make([]byte, 32), Seq: m.seq, Offset: m.read, Generation: m.c.Generation(), EventSeq: m.event})
	if limit := (*LimitError)(nil); errors.As(err, &limit) {
		require.Positive(t, limit.Wait)
		require.Less(t, m.c.LastSeq(), m.seq)
		m.now = m.now.Add(limit.Wait)
		a, err = m.c.Attach(m.now, AttachArgs{Token: make([]byte, 32), Seq: m.seq, Offset: m.read, Generation: m.c.Generation(), EventSeq: m.event})
	}
	require.NoError(t, err)
	require.Equal(t, m.read, a.Offset)
	require.Equal(t, m.sent, a.Accepted)
	require.Equal(t, m.written, a.Written)
	require.GreaterOrEqual(t, a.SendLimit, m.progressLimit)
	m.progressLimit = a.SendLimit
}

func (m *machine) receive(t *rapid.T) {
	room := m.c.Room(m.c.Generation())
	if room == 0 {
		return
	}
	_, _, received := m.c.Counts()
	n := rapid.IntRange(1, room).Draw(t, "n")
	require.NoError(t, m.c.Received(m.c.Generation(), m.bytes(received, n, m.opts.ChunkBytes)))
}

func (m *machine) data(t *rapid.T) {
	// It may come again, in part or whole, and be cut as one likes.
	from := rapid.Int64Range(max(0, m.sent-20), m.sent).Draw(t, "from")
	to := rapid.Int64Range(from, m.progressLimit).Draw(t, "to")
	n := int(to - from)
	p := make([]byte, n)
	for i := range p {
		p[i] = m.expected(from+int64(i), true)
	}
	cut := rapid.IntRange(0, n).Draw(t, "cut")
	full, err := m.c.Data(m.now, m.c.Epoch(), m.c.Generation(), from, p[:cut], p[cut:])
	require.NoError(t, err)
	require.False(t, full, "a resumable stream is always received from")
	m.sent = max(m.sent, to)
}

func (m *machine) write(t *rapid.T) {
	w := m.c.NextWrite(m.c.Generation(), rapid.IntRange(1, 40).Draw(t, "limit"))
	defer w.Release()
	if len(w.Bytes) == 0 {
		require.Equal(t, m.sent, m.written, "what was accepted is written")
		return
	}
	n := rapid.IntRange(1, len(w.Bytes)).Draw(t, "n")
	for i, b := range w.Bytes {
		require.Equal(t, m.expected(m.written+int64(i), true), b)
	}
	m.c.Wrote(m.now, m.c.Generation(), n)
	m.written += int64(n)
}

func (m *machine) next(t *rapid.T) {
	if m.c.Epoch() == 0 {
		return
	}
	f, err := m.c.Next(m.now, m.c.Epoch(), rapid.IntRange(1, 40).Draw(t, "limit"))
	require.NoError(t, err)
	switch f.Kind {
	case FrameData:
		require.Equal(t, m.c.Generation(), f.Data.Generation)
		require.Equal(t, m.read, f.Data.Offset)
		for i, b := range f.Data.Bytes {
			require.Equal(t, m.expected(m.read+int64(i), false), b)
		}
		m.read += int64(len(f.Data.Bytes))
		f.Data.Release()
	case FrameEvent:
		if f.Event.DroppedFrom > 0 {
			require.Equal(t, m.event+1, f.Event.DroppedFrom)
		} else {
			require.Equal(t, m.event+1, f.Event.Seq)
		}
		if f.Event.Generation == m.c.Generation() && f.Event.DroppedFrom == 0 {
			require.LessOrEqual(t, f.Event.Offset, m.read)
		}
		m.event = f.Event.Seq
	case FrameProgress:
		require.Equal(t, Progress{m.c.Generation(), m.sent, m.written, f.Progress.SendLimit}, f.Progress)
		require.GreaterOrEqual(t, f.Progress.SendLimit, m.progressLimit)
		m.progressLimit = f.Progress.SendLimit
	case FrameNone:
		_, _, received := m.c.Counts()
		require.Equal(t, received, m.read, "bytes wait, and nothing is sent")
		if p := m.c.progress(); p != m.c.at.reported {
			require.False(t, f.Wait.IsZero(), "progress is told in the end")
		}
	}
}

func (m *machine) ack(t *rapid.T) {
	if m.c.Epoch() == 0 {
		return
	}
	m.acked = rapid.Int64Range(m.acked, m.read).Draw(t, "ack")
	require.NoError(t, m.c.Ack(m.now, m.c.Epoch(), m.c.Generation(), m.acked, rapid.Int64Range(0, m.event).Draw(t, "event")))
}

// ready is who could go on now.
func (m *machine) ready() (e Effects) {
	c := m.c.clone()
	if c.Room(c.Generation()) > 0 {
		e |= WakeReader
	}
	if w := c.NextWrite(c.Generation(), 1); len(w.Bytes) > 0 || w.Finish || w.Shutdown {
		e |= WakeWriter
	}
	if f, err := c.Next(m.now, c.Epoch(), 1); err != nil || f.Kind != FrameNone {
		e |= WakeSender
	}
	return e
}

// check holds after every step: the invariants, and that whoever could not go on
// before and can now was woken.
func (m *machine) check(t *rapid.T) {
	require.Empty(t, m.c.broken())
	woken := m.c.Effects()
	ready := m.ready()
	require.Zero(t, ready&^m.waiting&^woken, "somebody can go on and is not woken")
	m.waiting = ready
}

func TestMachine(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		chunk := rapid.IntRange(1, 24).Draw(t, "chunk")
		m := &machine{t: t, now: time.Unix(1, 0), opts: Options{
			Resumable:    true,
			ChunkBytes:   chunk,
			ReceiveBytes: chunk * rapid.IntRange(1, 4).Draw(t, "receive"),
			SendBytes:    chunk * rapid.IntRange(1, 4).Draw(t, "send"),
		}}
		m.c = New(Config{Alloc: func(n int) *Buffer {
			b := NewBuffer(make([]byte, 0, n))
			m.offered = append(m.offered, b)
			return b
		}})
		m.begin()
		m.attach(t)
		m.check(t)
		t.Repeat(map[string]func(*rapid.T){
			"":        m.check,
			"attach":  m.attach,
			"receive": m.receive,
			"data": func(t *rapid.T) {
				if m.c.Epoch() > 0 {
					m.data(t)
				}
			},
			"write": m.write,
			"next":  m.next,
			"ack":   m.ack,
			"detach": func(t *rapid.T) {
				m.c.Detach(m.now, m.c.Epoch())
			},
			"event": func(t *rapid.T) { m.c.Emit(Event{Size: rapid.IntRange(0, 1<<18).Draw(t, "size")}) },
			"wait": func(*rapid.T) {
				m.now = m.now.Add(progressDelay)
				m.c.effects |= WakeSender // the sender's own timer
			},
			"reconnect": func(*rapid.T) {
				m.c.Emit(Event{Terminal: true})
				m.begin()
			},
		})
		m.c.expire(m.now)
		require.Empty(t, m.c.broken())
		for _, b := range m.offered {
			require.Zero(t, b.refs.Load(), "every buffer is given back once")
		}
	})
}
