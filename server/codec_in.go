package server

import (
	"sync"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	pb "securesocket/gen/securesocket/v1"
)

// Field numbers of the contract, for the frames that the codec reads and writes.
const (
	fieldData           = 3 // AttachRequest.data
	fieldSocketData     = 2 // AttachResponse.socket_data
	fieldOutputProgress = 3 // AttachResponse.output_progress
	fieldOffset         = 1 // Data.offset
	fieldGeneration     = 2 // Data.generation
	fieldPayload        = 15
)

// inFrame is a frame of the caller's as the codec receives it: exactly one of
// request and payload is set. It may be received into again.
type inFrame struct {
	request            *pb.AttachRequest
	offset, generation int64
	payload            *payload // 1 byte to 128 KiB; whoever takes it releases it
}

// maxDataHeader is what precedes the payload of a data frame at most: three tags,
// two lengths, two numbers.
const maxDataHeader = 3 + 2*4 + 2*10

// dataHeader is what precedes the payload of a data frame.
type dataHeader struct {
	offset, generation int64
	size               int
}

// scanData reads the header of a frame that is data and nothing else, with the
// fields in the order of their numbers, each at most once, none that is zero,
// and every number in its shortest form. false: it is something else, or its
// payload is empty or larger than is allowed.
func scanData(wire mem.BufferSlice) (h dataHeader, ok bool) {
	total := wire.Len()
	if total > maxDataHeader+maxPayloadBytes {
		return h, false
	}
	var start [maxDataHeader]byte
	s := scanner{rest: start[:wire.CopyTo(start[:])], left: total}
	if !s.tag(fieldData, protowire.BytesType) || !s.toTheEnd() {
		return h, false
	}
	if s.tag(fieldOffset, protowire.VarintType) {
		h.offset = int64(s.nonZero())
	}
	if s.tag(fieldGeneration, protowire.VarintType) {
		h.generation = int64(s.nonZero())
	}
	if !s.tag(fieldPayload, protowire.BytesType) || !s.toTheEnd() || s.bad {
		return h, false
	}
	h.size = total - s.left
	return h, s.left > 0 && s.left <= maxPayloadBytes
}

// scanner reads numbers in their shortest form. bad: one was not.
type scanner struct {
	rest []byte
	left int // bytes of the frame that are not read, in rest and beyond
	bad  bool
}

// tag skips the tag of a field if it is the next.
func (s *scanner) tag(number protowire.Number, kind protowire.Type) bool {
	// All of them have one byte.
	if len(s.rest) == 0 || uint64(s.rest[0]) != protowire.EncodeTag(number, kind) {
		return false
	}
	s.rest, s.left = s.rest[1:], s.left-1
	return true
}

func (s *scanner) number() uint64 {
	v, n := protowire.ConsumeVarint(s.rest)
	if n < 0 || n != protowire.SizeVarint(v) {
		s.bad = true
		return 0
	}
	s.rest, s.left = s.rest[n:], s.left-n
	return v
}

func (s *scanner) nonZero() uint64 {
	v := s.number()
	s.bad = s.bad || v == 0
	return v
}

// toTheEnd reads a length, and tells whether it is that of all that follows.
func (s *scanner) toTheEnd() bool {
	length := s.number()
	return length == uint64(s.left)
}

// payload is the bytes of a data frame, in buffers that are referenced until
// Release.
type payload struct {
	buffers mem.BufferSlice
	pieces  [][]byte // the bytes in order
	copied  *[]byte  // instead of buffers; from the pool
}

var payloadPool = sync.Pool{New: func() any { return new(payload) }}

// newPayload references what follows the first skip bytes of wire. It copies
// where wire is in so many parts, or so small a part of its buffers, that they
// would hold much more memory than the payload has bytes: a caller may send it
// in HTTP/2 frames of one byte.
func newPayload(wire mem.BufferSlice, skip int) *payload {
	p := payloadPool.Get().(*payload) //nolint:forcetypeassert // the pool holds nothing else
	size, room := -skip, 0
	for _, b := range wire {
		data := b.ReadOnlyData()
		size, room = size+len(data), room+cap(data)
	}
	if len(wire) > maxPieces(size) || room > 2*size {
		p.copied = buffers.Get(size)
		p.pieces = append(p.pieces, gather(*p.copied, wire, skip))
		return p
	}
	for _, b := range wire {
		data := b.ReadOnlyData()
		if skip >= len(data) {
			skip -= len(data)
			continue
		}
		b.Ref()
		p.buffers = append(p.buffers, b)
		p.pieces = append(p.pieces, data[skip:])
		skip = 0
	}
	return p
}

// maxPieces bounds the parts of a payload that is referenced: HTTP/2 frames of
// 16 KiB, the first and the last of which may be shared with other messages.
func maxPieces(size int) int { return size/(8<<10) + 2 }

// gather fills dst with what follows the first skip bytes of wire.
func gather(dst []byte, wire mem.BufferSlice, skip int) []byte {
	n := 0
	for _, b := range wire {
		data := b.ReadOnlyData()
		cut := min(skip, len(data))
		skip -= cut
		n += copy(dst[n:], data[cut:])
	}
	return dst[:n]
}

// Release gives the buffers back.
func (p *payload) Release() {
	p.buffers.Free()
	if p.copied != nil {
		buffers.Put(p.copied)
	}
	clear(p.buffers)
	clear(p.pieces)
	*p = payload{buffers: p.buffers[:0], pieces: p.pieces[:0]}
	payloadPool.Put(p)
}
