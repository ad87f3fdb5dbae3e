package client

import (
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// outFrame is a frame that the codec writes by hand: data or ack. It is sent once; gRPC's last reference to its buffers
// gives it back, with its reference to the chunk that has the payload.
type outFrame struct {
	head    []byte // in space
	payload []byte // of chunk; nil: the head is all of the frame
	chunk   *chunk
	slice   [2]mem.Buffer
	left    atomic.Int32 // buffers that gRPC still refers to
	space   [countedRoom + 64]byte
}

var outFramePool = sync.Pool{New: func() any { return new(outFrame) }}

func newOutFrame() *outFrame {
	f := outFramePool.Get().(*outFrame) //nolint:forcetypeassert // the pool holds nothing else
	f.head = f.space[:0]
	return f
}

// dataFrame is the frame of bytes for the peer; payload, at least one byte, lies in chunk, to which the frame takes a
// reference.
func dataFrame(generation, offset int64, chunk *chunk, payload []byte) *outFrame {
	f := newOutFrame()
	chunk.ref()
	f.chunk, f.payload = chunk, payload
	inner := sizeInt(fieldOffset, offset) + sizeInt(fieldGeneration, generation) +
		protowire.SizeTag(fieldPayload) + protowire.SizeBytes(len(payload))
	f.begin(fieldData, inner)
	f.int(fieldOffset, offset)
	f.int(fieldGeneration, generation)
	f.head = protowire.AppendTag(f.head, fieldPayload, protowire.BytesType)
	f.head = protowire.AppendVarint(f.head, uint64(len(payload)))
	return f
}

// ackFrame is the frame that says what this side has.
func ackFrame(generation, offset, event int64) *outFrame {
	const fieldOffset, fieldEvent, fieldGeneration = 1, 2, 3 // of Ack
	f := newOutFrame()
	f.begin(fieldAck, sizeInt(fieldOffset, offset)+sizeInt(fieldEvent, event)+sizeInt(fieldGeneration, generation))
	f.int(fieldOffset, offset)
	f.int(fieldEvent, event)
	f.int(fieldGeneration, generation)
	return f
}

// begin writes the tag and the size of the message in the frame.
func (f *outFrame) begin(number protowire.Number, size int) {
	f.head = protowire.AppendTag(f.head, number, protowire.BytesType)
	f.head = protowire.AppendVarint(f.head, uint64(size))
}

// int writes an int64 field; protobuf leaves out what is zero.
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

// wire returns the frame with one reference to each buffer, for gRPC to free. The slice is the frame's own: nobody looks
// at it after the last Free.
func (f *outFrame) wire() mem.BufferSlice {
	wire := append(mem.BufferSlice(f.slice[:0]), mem.NewBuffer(&f.head, f))
	if f.chunk != nil {
		wire = append(wire, mem.NewBuffer(&f.payload, f))
	}
	f.left.Store(int32(len(wire)))
	return wire
}

// Get makes outFrame a mem.BufferPool, which has nothing of its own to give.
func (f *outFrame) Get(length int) *[]byte { return buffers.Get(length) }

// Put notes that gRPC is done with one of the buffers.
func (f *outFrame) Put(*[]byte) {
	if f.left.Add(-1) > 0 {
		return
	}
	if f.chunk != nil {
		f.chunk.free()
		f.chunk, f.payload = nil, nil
	}
	clear(f.slice[:])
	outFramePool.Put(f)
}
