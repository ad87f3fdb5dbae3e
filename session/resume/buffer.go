package resume

import "sync/atomic"

// Buffer is memory with bytes of one direction. It is shared: the ring holds
// it, and so does everybody who was handed bytes of it.
type Buffer struct {
	free func([]byte)
	refs atomic.Int32
	mem  []byte // the bytes so far; its capacity is what a ring accounts
}

// NewBuffer takes mem over, the capacity beyond its length included: a ring may
// append there. free gets it back, cleared, when the last holder
// has released it; nil leaves it to the garbage collector.
func NewBuffer(mem []byte, free func([]byte)) *Buffer {
	b := &Buffer{mem: mem, free: free}
	b.refs.Store(1)
	return b
}

// Release ends one holder's use; it may be called from any goroutine, once.
func (b *Buffer) Release() {
	if b.refs.Add(-1) != 0 || b.free == nil {
		return
	}
	clear(b.mem) // the next owner may be another caller
	b.free(b.mem[:0])
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
