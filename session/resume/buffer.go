package resume

import (
	"sync"
	"sync/atomic"
)

// Buffer is memory with bytes of one direction. It is shared: the ring holds
// it, and so does everybody who was handed bytes of it.
type Buffer struct {
	home *Pool // nil: the garbage collector's
	refs atomic.Int32
	mem  []byte // the bytes so far; its capacity is what a ring accounts
}

// NewBuffer takes mem over, the capacity beyond its length included: a ring may
// append there.
func NewBuffer(mem []byte) *Buffer {
	b := &Buffer{mem: mem}
	b.refs.Store(1)
	return b
}

// Spare is the room behind the bytes, to be filled by who alone holds b.
func (b *Buffer) Spare() []byte { return b.mem[len(b.mem):cap(b.mem)] }

// Filled says that the first n bytes of Spare are bytes now.
func (b *Buffer) Filled(n int) { b.mem = b.mem[:len(b.mem)+n] }

// Len is how many bytes there are.
func (b *Buffer) Len() int { return len(b.mem) }

// Bytes are those that there are, valid until Release.
func (b *Buffer) Bytes() []byte { return b.mem }

// Release ends one holder's use; it may be called from any goroutine, once.
func (b *Buffer) Release() {
	if b.refs.Add(-1) == 0 && b.home != nil {
		b.mem = b.mem[:0]
		b.home.pool.Put(b)
	}
}

// spare is how many bytes can be appended.
func (b *Buffer) spare() int { return cap(b.mem) - len(b.mem) }

// view hands out bytes; they are never written again.
func (b *Buffer) view(from, to int) View {
	b.refs.Add(1)
	return View{Bytes: b.mem[from:to:to], buf: b}
}

// View is bytes of a Buffer, valid until Release. They must not be changed.
type View struct {
	Bytes []byte
	buf   *Buffer
}

// Release ends the use of Bytes; it may be called from any goroutine, once. The
// zero View needs none, and does nothing.
func (v View) Release() {
	if v.buf != nil {
		v.buf.Release()
	}
}

// Pool has buffers of one capacity. It may be used from any goroutine. Buffers
// are not cleared in between, though the next owner may be another caller: only
// bytes that somebody has filled in are ever looked at.
type Pool struct {
	size int
	pool sync.Pool
}

// NewPool returns a Pool of buffers with that capacity.
func NewPool(size int) *Pool { return &Pool{size: size} }

// Get returns an empty Buffer.
func (p *Pool) Get() *Buffer {
	b, ok := p.pool.Get().(*Buffer)
	if !ok {
		b = &Buffer{home: p, mem: make([]byte, 0, p.size)}
	}
	b.refs.Store(1)
	return b
}
