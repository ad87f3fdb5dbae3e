package client

import (
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	pb "securesocket/gen/securesocket/v1"
)

// inFrame is a frame of the service as the codec receives it. It may be received into again: what it had is gone then, but
// for the pieces that somebody has taken.
type inFrame struct {
	// response is set for every frame but those below.
	response *pb.AttachResponse
	// isData: offset, generation and pieces are those of socket_data.
	isData             bool
	offset, generation int64
	pieces             []piece
	// isProgress: progress is output_progress.
	isProgress bool
	progress   progress
}

// piece is a part of a payload, in memory that somebody else holds for it: gRPC or a chunk. One of them is set, or none
// where nobody has to be told.
type piece struct {
	p      []byte
	buffer mem.Buffer
	chunk  *chunk
}

// free gives the memory back.
func (p *piece) free() {
	if p.buffer != nil {
		p.buffer.Free()
	}
	if p.chunk != nil {
		p.chunk.free()
	}
	*p = piece{}
}

// progress is an OutputProgress.
type progress struct{ accepted, written, limit, generation int64 }

// drop frees the pieces that nobody has taken.
func (f *inFrame) drop() {
	for i := range f.pieces {
		f.pieces[i].free()
	}
	f.pieces = f.pieces[:0]
}

// maxHeader is more than what precedes the payload of a data frame, three tags, two lengths, two numbers, and than an
// output_progress.
const maxHeader = 64

// read reads a frame that is socket_data, with a payload, or output_progress and nothing else, with the fields in the order
// of their numbers, each at most once, none that is zero, and every number in its shortest form, as encoders write them. The
// payload stays where it is, with a reference for each piece. false: it is something else, for protobuf to judge.
func (f *inFrame) read(wire mem.BufferSlice) bool {
	f.drop()
	*f = inFrame{pieces: f.pieces}
	total := wire.Len()
	var start [maxHeader]byte
	s := scanner{rest: start[:wire.CopyTo(start[:])], left: total}
	switch {
	case s.tag(fieldSocketData, protowire.BytesType):
		if !s.toTheEnd() {
			return false
		}
		f.offset, f.generation = s.int(fieldOffset), s.int(fieldGeneration)
		if !s.tag(fieldPayload, protowire.BytesType) || !s.toTheEnd() || s.bad || s.left == 0 {
			return false
		}
		f.isData = true
		f.refer(wire, total-s.left)
		return true
	case total <= maxHeader && s.tag(fieldOutputProgress, protowire.BytesType):
		if !s.toTheEnd() {
			return false
		}
		f.progress = progress{accepted: s.int(1), written: s.int(2), limit: s.int(3), generation: s.int(4)}
		f.isProgress = !s.bad && s.left == 0
		return f.isProgress
	}
	return false
}

// refer takes a reference to what follows the first skip bytes of wire.
func (f *inFrame) refer(wire mem.BufferSlice, skip int) {
	for _, b := range wire {
		p := b.ReadOnlyData()
		if skip >= len(p) {
			skip -= len(p)
			continue
		}
		b.Ref()
		f.pieces = append(f.pieces, piece{p: p[skip:], buffer: b})
		skip = 0
	}
}

// readProto reads any frame with the decoder that is given.
func (f *inFrame) readProto(unmarshal func(any) error) error {
	*f = inFrame{pieces: f.pieces[:0]}
	response := &pb.AttachResponse{}
	if err := unmarshal(response); err != nil {
		return err
	}
	switch frame := response.GetFrame().(type) {
	case *pb.AttachResponse_SocketData:
		data := frame.SocketData
		f.isData, f.offset, f.generation = true, data.GetOffset(), data.GetGeneration()
		if len(data.GetPayload()) > 0 {
			f.pieces = append(f.pieces, piece{p: data.GetPayload()})
		}
	case *pb.AttachResponse_OutputProgress:
		p := frame.OutputProgress
		f.isProgress = true
		f.progress = progress{p.GetAcceptedOffset(), p.GetWrittenOffset(), p.GetSendLimit(), p.GetGeneration()}
	default:
		f.response = response
	}
	return nil
}

// scanner reads the header of a frame. bad: a number was not in its shortest form, or zero where that is left out.
type scanner struct {
	rest []byte
	left int // bytes of the frame that are not read, in rest and beyond
	bad  bool
}

// tag skips the tag of a field if it is the next; all of them have one byte.
func (s *scanner) tag(number protowire.Number, kind protowire.Type) bool {
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

// int reads a number if its tag is the next; else it is zero.
func (s *scanner) int(number protowire.Number) int64 {
	if !s.tag(number, protowire.VarintType) {
		return 0
	}
	v := s.number()
	s.bad = s.bad || v == 0
	return int64(v)
}

// toTheEnd reads a length, and tells whether it is that of all that follows.
func (s *scanner) toTheEnd() bool {
	length := s.number()
	return !s.bad && length == uint64(s.left)
}
