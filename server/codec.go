package server

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec for everything else
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/mem"

	pb "securesocket/gen/securesocket/v1"
)

// codec is protobuf, byte for byte, but for the frames of Attach that move bytes
// it does without protobuf's copies: their payload stays in the buffers in which
// it came, both ways, unless it is little. These frames have types of their own,
// outFrame, shortFrame and inFrame, that say who owns the buffers; a protobuf
// message has no place for that.
type codec struct{ encoding.CodecV2 }

// codecOptions has gRPC use the codec, and buffers of sizes that suit it.
func codecOptions() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.ForceServerCodecV2(newCodec()), experimental.BufferPool(buffers)}
}

// newCodec wraps gRPC's own.
func newCodec() codec { return codec{encoding.GetCodecV2("proto")} }

// Marshal hands the buffers of an outFrame, and a shortFrame, over to gRPC.
func (c codec) Marshal(message any) (mem.BufferSlice, error) {
	switch f := message.(type) {
	case *outFrame:
		return f.wire(), nil
	case shortFrame:
		return mem.BufferSlice{mem.SliceBuffer(f)}, nil
	}
	return c.CodecV2.Marshal(message)
}

// Unmarshal references wire from an inFrame that is a data frame as every
// encoder writes it. Anything else is for protobuf to judge.
func (c codec) Unmarshal(wire mem.BufferSlice, message any) error {
	f, ok := message.(*inFrame)
	if !ok {
		return c.decode(wire, message)
	}
	h, ok := scanData(wire)
	if ok {
		*f = inFrame{offset: h.offset, generation: h.generation, payload: newPayload(wire, h.size)}
		return nil
	}
	*f = inFrame{request: new(pb.AttachRequest)}
	return c.decode(wire, f.request)
}

func (c codec) decode(wire mem.BufferSlice, message any) error {
	return decoding(wire, func(wire mem.BufferSlice) error { return c.CodecV2.Unmarshal(wire, message) })
}
