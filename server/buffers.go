package server

import (
	"sync"

	"google.golang.org/grpc/mem"
)

// headerRoom is what a 64 KiB payload may have before and after it without
// taking the next larger buffer: the frame's own header, and gRPC's.
const headerRoom = 1 << 10

// bufferTiers are the sizes of pooled buffers. Each is about twice the one
// before, so that no buffer is much larger than what it holds: a caller chooses
// how its messages are cut. gRPC takes none of 1 KiB or less from a pool.
var bufferTiers = [...]int{2 << 10, 4 << 10, 8 << 10, 16 << 10, 32 << 10, 64<<10 + headerRoom, 128 << 10, 256 << 10}

// bufferPool is a mem.BufferPool with these tiers; what is larger is not pooled.
//
// Buffers are not cleared, though the next owner may be another caller: everyone
// who takes one fills its whole length before anybody looks at it. The framer
// gives a buffer back unseen if it cannot read the whole frame; the compressor
// and the codec copy exactly as much as they ask for.
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

// buffers serves the connections of all servers in the process.
var buffers mem.BufferPool = new(bufferPool)
