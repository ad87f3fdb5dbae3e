package client

import (
	"sync"

	"google.golang.org/grpc/mem"
)

// headerRoom is what a payload of maxPayload bytes may have before and after it without taking the next larger buffer: the
// headers of its frame, and what makes gRPC count the references to a piece at its end.
const headerRoom = 2 << 10

// bufferTiers are the sizes of pooled buffers, in bytes. Each is at most four times the one before, so that no buffer is
// much larger than what it holds.
var bufferTiers = [...]int{4 << 10, 16 << 10, 32 << 10, maxPayload + headerRoom, 128<<10 + headerRoom, 256 << 10}

// bufferPool is a mem.BufferPool with these tiers; what is larger is not pooled. gRPC's own goes from 32 KiB to 1 MiB in
// one step, and clears what it gives.
//
// Buffers are not cleared: everybody who takes one fills its whole length before anybody looks at it. The framer gives a
// buffer back unseen if it cannot read the whole frame, and the codecs copy exactly as much as they ask for.
type bufferPool struct{ tiers [len(bufferTiers)]sync.Pool }

// Get returns a buffer of that length, whose content is arbitrary.
func (p *bufferPool) Get(length int) *[]byte {
	for i, size := range bufferTiers {
		if length > size {
			continue
		}
		if b, ok := p.tiers[i].Get().(*[]byte); ok {
			*b = (*b)[:length]
			return b
		}
		b := make([]byte, length, size)
		return &b
	}
	b := make([]byte, length)
	return &b
}

// Put takes a buffer back. One that is not of a tier is dropped.
func (p *bufferPool) Put(b *[]byte) {
	for i, size := range bufferTiers {
		if cap(*b) == size {
			p.tiers[i].Put(b)
			return
		}
	}
}

// buffers serves all clients of the process.
var buffers mem.BufferPool = new(bufferPool)
