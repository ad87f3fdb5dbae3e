package server

import (
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	"securesocket/session"
)

// shortFrame is a frame of the service's in memory of its own, no more than it
// needs: a reference would hold much more while the frame waits to be sent.
type shortFrame []byte

// maxShort is the largest payload of a shortFrame.
const maxShort = 1 << 10

// maxFrameHeader is what precedes the payload of socket_data at most.
const maxFrameHeader = maxDataHeader

// socketData is the frame of what came from the peer, which it takes over.
func socketData(r session.Received) any {
	if len(r.Bytes) <= maxShort {
		defer r.Release()
		b := appendSocketData(make(shortFrame, 0, maxFrameHeader+len(r.Bytes)), r)
		return append(b, r.Bytes...)
	}
	return newOutFrame(r)
}

// appendSocketData appends all of the frame but the payload.
func appendSocketData(b []byte, r session.Received) shortFrame {
	inner := sizeInt(fieldOffset, r.Offset) + sizeInt(fieldGeneration, r.Generation) +
		protowire.SizeTag(fieldPayload) + protowire.SizeBytes(len(r.Bytes))
	b = protowire.AppendTag(b, fieldSocketData, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(inner))
	b = appendInt(b, fieldOffset, r.Offset)
	b = appendInt(b, fieldGeneration, r.Generation)
	b = protowire.AppendTag(b, fieldPayload, protowire.BytesType)
	return protowire.AppendVarint(b, uint64(len(r.Bytes)))
}

// outputProgress is the frame that tells how far the caller's bytes have come.
func outputProgress(p *session.Progress) shortFrame {
	const accepted, written, limit, generation = 1, 2, 3, 4 // fields of OutputProgress
	most := min(p.SendLimit, maxOffset)
	inner := sizeInt(accepted, p.Accepted) + sizeInt(written, p.Written) + sizeInt(limit, most) + sizeInt(generation, p.Generation)
	b := make(shortFrame, 0, 2+inner)
	b = protowire.AppendTag(b, fieldOutputProgress, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(inner))
	b = appendInt(b, accepted, p.Accepted)
	b = appendInt(b, written, p.Written)
	b = appendInt(b, limit, most)
	return appendInt(b, generation, p.Generation)
}

// appendInt appends an int64 field; protobuf leaves out what is zero.
func appendInt(b []byte, number protowire.Number, value int64) []byte {
	if value == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), uint64(value))
}

func sizeInt(number protowire.Number, value int64) int {
	if value == 0 {
		return 0
	}
	return protowire.SizeTag(number) + protowire.SizeVarint(uint64(value))
}

// outFrame is socket_data that refers to the bytes of the peer. It is sent once;
// gRPC's last reference to its buffers gives it back, with these bytes.
type outFrame struct {
	data  session.Received
	head  []byte // in room
	slice [2]mem.Buffer
	left  atomic.Int32 // buffers that gRPC still refers to
	// mem.NewBuffer counts the references only of buffers larger than 1 KiB.
	room [headerBuffer]byte
}

const headerBuffer = 1<<10 + 64

var outFramePool = sync.Pool{New: func() any { return new(outFrame) }}

func newOutFrame(r session.Received) *outFrame {
	f := outFramePool.Get().(*outFrame) //nolint:forcetypeassert // the pool holds nothing else
	f.data = r
	f.head = appendSocketData(f.room[:0], r)
	return f
}

// wire returns the frame with one reference to each buffer, for gRPC to free.
// The slice is the frame's own: nobody looks at it after the last Free.
func (f *outFrame) wire() mem.BufferSlice {
	f.left.Store(int32(len(f.slice)))
	f.slice = [2]mem.Buffer{mem.NewBuffer(&f.head, f), mem.NewBuffer(&f.data.Bytes, f)}
	return f.slice[:]
}

// Get makes outFrame a mem.BufferPool, which has nothing to give.
func (f *outFrame) Get(length int) *[]byte { return buffers.Get(length) }

// Put notes that gRPC is done with one of the buffers.
func (f *outFrame) Put(*[]byte) {
	if f.left.Add(-1) > 0 {
		return
	}
	f.data.Release()
	f.data = session.Received{}
	f.slice = [2]mem.Buffer{}
	outFramePool.Put(f)
}
