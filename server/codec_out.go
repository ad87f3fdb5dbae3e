package server

import (
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	"securesocket/session"
)

// outFrame is a frame of the service's that the codec writes by hand:
// socket_data or output_progress. It is sent once; gRPC's last reference to its
// buffers gives it back, with the bytes of the peer that it refers to.
type outFrame struct {
	data  *session.Received // nil: the header is all of the frame
	head  []byte            // in room
	slice [1 + session.MaxPieces]mem.Buffer
	left  atomic.Int32 // buffers that gRPC still refers to
	// mem.NewBuffer counts the references only of buffers larger than 1 KiB.
	room [headerBuffer]byte
}

const headerBuffer = 1<<10 + 64

var outFramePool = sync.Pool{New: func() any { return new(outFrame) }}

func newOutFrame() *outFrame {
	f := outFramePool.Get().(*outFrame) //nolint:forcetypeassert // the pool holds nothing else
	f.head = f.room[:0]
	return f
}

// socketData is the frame of what came from the peer, which it takes over.
func socketData(r *session.Received) *outFrame {
	f := newOutFrame()
	f.data = r
	payload := 0
	for _, piece := range r.Pieces {
		payload += len(piece)
	}
	inner := sizeInt(fieldOffset, r.Offset) + sizeInt(fieldGeneration, r.Generation) +
		protowire.SizeTag(fieldPayload) + protowire.SizeBytes(payload)
	f.head = protowire.AppendTag(f.head, fieldSocketData, protowire.BytesType)
	f.head = protowire.AppendVarint(f.head, uint64(inner))
	f.int(fieldOffset, r.Offset)
	f.int(fieldGeneration, r.Generation)
	f.head = protowire.AppendTag(f.head, fieldPayload, protowire.BytesType)
	f.head = protowire.AppendVarint(f.head, uint64(payload))
	return f
}

// outputProgress is the frame that tells how far the caller's bytes have come.
func outputProgress(p *session.Progress) *outFrame {
	const accepted, written, limit, generation = 1, 2, 3, 4 // fields of OutputProgress
	f := newOutFrame()
	inner := sizeInt(accepted, p.Accepted) + sizeInt(written, p.Written) + sizeInt(limit, maxOffset) + sizeInt(generation, p.Generation)
	f.head = protowire.AppendTag(f.head, fieldOutputProgress, protowire.BytesType)
	f.head = protowire.AppendVarint(f.head, uint64(inner))
	f.int(accepted, p.Accepted)
	f.int(written, p.Written)
	f.int(limit, maxOffset)
	f.int(generation, p.Generation)
	return f
}

// int appends an int64 field; protobuf leaves out what is zero.
func (f *outFrame) int(number protowire.Number, value int64) {
	if value != 0 {
		f.head = protowire.AppendTag(f.head, number, protowire.VarintType)
		f.head = protowire.AppendVarint(f.head, uint64(value))
	}
}

func sizeInt(number protowire.Number, value int64) int {
	if value == 0 {
		return 0
	}
	return protowire.SizeTag(number) + protowire.SizeVarint(uint64(value))
}

// wire returns the frame with one reference to each buffer, for gRPC to free.
// The slice is the frame's own: nobody looks at it after the last Free.
func (f *outFrame) wire() mem.BufferSlice {
	wire := append(mem.BufferSlice(f.slice[:0]), mem.NewBuffer(&f.head, f))
	if f.data != nil {
		for i := range f.data.Pieces {
			wire = append(wire, mem.NewBuffer(&f.data.Pieces[i], f))
		}
	}
	f.left.Store(int32(len(wire)))
	return wire
}

// Get makes outFrame a mem.BufferPool, which has nothing to give.
func (f *outFrame) Get(length int) *[]byte { return buffers.Get(length) }

// Put notes that gRPC is done with one of the buffers.
func (f *outFrame) Put(*[]byte) {
	if f.left.Add(-1) > 0 {
		return
	}
	if f.data != nil {
		f.data.Release()
		f.data = nil
	}
	clear(f.slice[:])
	outFramePool.Put(f)
}
