package client

import (
	"sync"
	"sync/atomic"
)

// countedRoom is left free at the end of a chunk: gRPC counts the references to a slice only if its capacity is larger
// than 1 KiB.
const countedRoom = 1<<10 + 1

// chunk is pooled memory that is filled from the front and never changed behind what is filled, so that parts of it may be
// sent, or read, while more is added. It goes back to the pool with its last reference.
type chunk struct {
	memory *[]byte
	filled []byte
	refs   atomic.Int32
}

var chunkPool = sync.Pool{New: func() any { return new(chunk) }}

// newChunk returns an empty chunk for at least size bytes, with one reference, that of the caller.
func newChunk(size int) *chunk {
	c := chunkPool.Get().(*chunk) //nolint:forcetypeassert // the pool holds nothing else
	c.memory = buffers.Get(size + countedRoom)
	c.filled = (*c.memory)[:0]
	c.refs.Store(1)
	return c
}

// room is how many bytes can be added.
func (c *chunk) room() int { return cap(c.filled) - countedRoom - len(c.filled) }

// fill adds the beginning of p, as much as there is room for, and returns where it lies and how much it is.
func (c *chunk) fill(p []byte) []byte {
	at := len(c.filled)
	c.filled = append(c.filled, p[:min(len(p), c.room())]...)
	return c.filled[at:]
}

func (c *chunk) ref() { c.refs.Add(1) }

// free gives a reference back.
func (c *chunk) free() {
	if c.refs.Add(-1) > 0 {
		return
	}
	buffers.Put(c.memory)
	c.memory, c.filled = nil, nil
	chunkPool.Put(c)
}
