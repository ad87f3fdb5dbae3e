package client

import (
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec for everything else
	"google.golang.org/grpc/mem"
)

// Field numbers of the contract, for the frames that are written and read by hand.
const (
	fieldData           = 3 // AttachRequest.data
	fieldAck            = 4 // AttachRequest.ack
	fieldSocketData     = 2 // AttachResponse.socket_data
	fieldOutputProgress = 3 // AttachResponse.output_progress
	fieldOffset         = 1 // Data.offset
	fieldGeneration     = 2 // Data.generation
	fieldPayload        = 15
)

// codec encodes messages of the stream as protobuf, byte for byte, but the frequent ones by hand: an *outFrame is sent, and
// an *inFrame received, without a copy of its payload and without an allocation. gRPC's codec copies a payload twice on
// the way in and once on the way out.
type codec struct{ encoding.CodecV2 }

// newCodec wraps gRPC's own.
func newCodec() codec { return codec{encoding.GetCodecV2("proto")} }

// Marshal hands an *outFrame over to gRPC.
func (c codec) Marshal(message any) (mem.BufferSlice, error) {
	if frame, ok := message.(*outFrame); ok {
		return frame.wire(), nil
	}
	return c.CodecV2.Marshal(message)
}

// Unmarshal fills an *inFrame.
func (c codec) Unmarshal(wire mem.BufferSlice, message any) error {
	frame, ok := message.(*inFrame)
	if !ok {
		return c.CodecV2.Unmarshal(wire, message)
	}
	if frame.read(wire) {
		return nil
	}
	return frame.readProto(func(message any) error { return c.CodecV2.Unmarshal(wire, message) })
}
