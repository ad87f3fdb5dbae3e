package client

import (
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec for everything else
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	pb "securesocket/gen/securesocket/v1"
)

// Field numbers of the contract, for the frames that carry bytes.
const (
	fieldData       = 3 // AttachRequest.data
	fieldSocketData = 2 // AttachResponse.socket_data
	fieldOffset     = 1 // Data.offset
	fieldGeneration = 2 // Data.generation
	fieldPayload    = 15
)

// maxDataHeader is more than what precedes the payload of a frame: three tags, two lengths, two numbers.
const maxDataHeader = 48

// codec encodes messages of the stream as protobuf, byte for byte, but carries payloads without gRPC's codec, which
// copies each twice on the way in and once on the way out, through buffers of 1 MiB that it clears every time.
type codec struct{ encoding.CodecV2 }

// newCodec wraps gRPC's own.
func newCodec() codec { return codec{encoding.GetCodecV2("proto")} }

// Marshal refers to the payload of a data frame, which must not change afterwards; send hands it over for good.
func (c codec) Marshal(message any) (mem.BufferSlice, error) {
	request, ok := message.(*pb.AttachRequest)
	data := request.GetData()
	if !ok || len(data.GetPayload()) == 0 {
		return c.CodecV2.Marshal(message)
	}
	header := make([]byte, 0, maxDataHeader)
	if data.GetOffset() != 0 {
		header = protowire.AppendTag(header, fieldOffset, protowire.VarintType)
		header = protowire.AppendVarint(header, uint64(data.GetOffset()))
	}
	if data.GetGeneration() != 0 {
		header = protowire.AppendTag(header, fieldGeneration, protowire.VarintType)
		header = protowire.AppendVarint(header, uint64(data.GetGeneration()))
	}
	header = protowire.AppendTag(header, fieldPayload, protowire.BytesType)
	header = protowire.AppendVarint(header, uint64(len(data.GetPayload())))
	outer := make([]byte, 0, maxDataHeader)
	outer = protowire.AppendTag(outer, fieldData, protowire.BytesType)
	outer = protowire.AppendVarint(outer, uint64(len(header)+len(data.GetPayload())))
	return mem.BufferSlice{mem.SliceBuffer(append(outer, header...)), mem.SliceBuffer(data.GetPayload())}, nil
}

// Unmarshal copies the payload of a data frame once, into memory of its own.
func (c codec) Unmarshal(wire mem.BufferSlice, message any) error {
	if response, ok := message.(*pb.AttachResponse); ok {
		if data := decodeData(wire); data != nil {
			response.Frame = &pb.AttachResponse_SocketData{SocketData: data}
			return nil
		}
	}
	return c.CodecV2.Unmarshal(wire, message)
}

// decodeData reads a response that is socket_data and nothing else, its fields in the order of their numbers and each at
// most once, as every encoder writes them. Anything else is nil, for protobuf to judge.
func decodeData(wire mem.BufferSlice) *pb.Data {
	var start [maxDataHeader]byte
	size := 0
	for _, buffer := range wire {
		if size += copy(start[size:], buffer.ReadOnlyData()); size == len(start) {
			break
		}
	}
	rest := start[:size]
	number, n := takeTag(rest, protowire.BytesType)
	if number != fieldSocketData {
		return nil
	}
	rest = rest[n:]
	length, n := protowire.ConsumeVarint(rest)
	if n < 0 || length != uint64(wire.Len()-(size-len(rest[n:]))) {
		return nil
	}
	rest = rest[n:]
	data := &pb.Data{}
	for _, field := range []struct {
		number protowire.Number
		value  *int64
	}{{fieldOffset, &data.Offset}, {fieldGeneration, &data.Generation}} {
		if number, n := takeTag(rest, protowire.VarintType); number == field.number {
			value, m := protowire.ConsumeVarint(rest[n:])
			if m < 0 {
				return nil
			}
			*field.value = int64(value)
			rest = rest[n+m:]
		}
	}
	number, n = takeTag(rest, protowire.BytesType)
	if number != fieldPayload {
		return nil
	}
	rest = rest[n:]
	length, n = protowire.ConsumeVarint(rest)
	header := size - len(rest) + n
	if n < 0 || length != uint64(wire.Len()-header) {
		return nil
	}
	data.Payload = make([]byte, 0, length)
	for _, buffer := range wire {
		bytes := buffer.ReadOnlyData()
		skip := min(header, len(bytes))
		header -= skip
		data.Payload = append(data.Payload, bytes[skip:]...)
	}
	return data
}

// takeTag returns the number of the field at the start of p if it is of that type, and the size of its tag; else 0.
func takeTag(p []byte, want protowire.Type) (protowire.Number, int) {
	number, kind, n := protowire.ConsumeTag(p)
	if n < 0 || kind != want {
		return 0, 0
	}
	return number, n
}
