package client

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
)

// split cuts p in pieces of n bytes, as frames of HTTP/2 do.
func split(p []byte, n int) mem.BufferSlice {
	var pieces mem.BufferSlice
	for len(p) > n {
		pieces = append(pieces, mem.SliceBuffer(p[:n]))
		p = p[n:]
	}
	return append(pieces, mem.SliceBuffer(p))
}

// message is what the frame says.
func (f *inFrame) message() *pb.AttachResponse {
	switch {
	case f.isData:
		data := &pb.Data{Offset: f.offset, Generation: f.generation}
		for _, p := range f.pieces {
			data.Payload = append(data.Payload, p.p...)
		}
		return &pb.AttachResponse{Frame: &pb.AttachResponse_SocketData{SocketData: data}}
	case f.isProgress:
		return &pb.AttachResponse{Frame: &pb.AttachResponse_OutputProgress{OutputProgress: &pb.OutputProgress{
			AcceptedOffset: f.progress.accepted, WrittenOffset: f.progress.written,
			SendLimit: f.progress.limit, Generation: f.progress.generation,
		}}}
	}
	return f.response
}

var numbers = []int64{0, 1, 127, 128, 1<<53 - 1, -1}

func TestCodecWritesProtobuf(t *testing.T) {
	t.Parallel()
	check := func(frame *outFrame, message *pb.AttachRequest) {
		got, err := newCodec().Marshal(frame)
		require.NoError(t, err)
		want, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
		require.NoError(t, err)
		require.Equal(t, want, got.Materialize())
		got.Free()
	}
	for _, offset := range numbers {
		for _, generation := range []int64{0, 1, 1 << 40} {
			for _, size := range []int{1, 100, 20_000, maxPayload} {
				c := newChunk(size)
				payload := c.fill(bytes.Repeat([]byte{7}, size))
				check(dataFrame(generation, offset, c, payload), &pb.AttachRequest{Frame: &pb.AttachRequest_Data{Data: &pb.Data{
					Offset: offset, Generation: generation, Payload: payload,
				}}})
				require.EqualValues(t, 1, c.refs.Load(), "what gRPC has freed is this side's again")
				c.free()
			}
			for _, event := range numbers {
				check(ackFrame(generation, offset, event), &pb.AttachRequest{Frame: &pb.AttachRequest_Ack{Ack: &pb.Ack{
					ReceivedOffset: offset, EventSeq: event, Generation: generation,
				}}})
			}
		}
	}
}

func TestCodecReadsProtobuf(t *testing.T) {
	t.Parallel()
	check := func(response *pb.AttachResponse, short bool) {
		wire, err := proto.Marshal(response)
		require.NoError(t, err)
		for _, n := range []int{1, 7, 16 << 10, len(wire)} {
			var frame inFrame
			require.Equal(t, short, frame.read(split(wire, n)), "the short way: %v", response)
			require.NoError(t, newCodec().Unmarshal(split(wire, n), &frame))
			require.True(t, proto.Equal(response, frame.message()))
		}
	}
	for _, offset := range numbers {
		for _, generation := range []int64{0, 1, 1 << 40} {
			for _, size := range []int{0, 1, 100, 20_000, maxPayload} {
				check(&pb.AttachResponse{Frame: &pb.AttachResponse_SocketData{SocketData: &pb.Data{
					Offset: offset, Generation: generation, Payload: make([]byte, size),
				}}}, size > 0)
			}
			check(&pb.AttachResponse{Frame: &pb.AttachResponse_OutputProgress{OutputProgress: &pb.OutputProgress{
				AcceptedOffset: offset, WrittenOffset: 5, SendLimit: offset, Generation: generation,
			}}}, true)
		}
	}
	check(&pb.AttachResponse{Frame: &pb.AttachResponse_Event{Event: &pb.Event{Seq: 1}}}, false)
}

// FuzzCodec: whatever comes, this codec and protobuf agree on what it means, and on whether it means anything.
func FuzzCodec(f *testing.F) {
	for _, message := range []proto.Message{
		&pb.AttachResponse{Frame: &pb.AttachResponse_SocketData{SocketData: &pb.Data{Offset: 300, Generation: 1, Payload: []byte("payload")}}},
		&pb.AttachResponse{Frame: &pb.AttachResponse_SocketData{SocketData: &pb.Data{}}},
		&pb.AttachResponse{Frame: &pb.AttachResponse_OutputProgress{OutputProgress: &pb.OutputProgress{AcceptedOffset: 1}}},
	} {
		wire, err := proto.Marshal(message)
		require.NoError(f, err)
		f.Add(wire, 3)
		f.Add(append(wire, wire...), 5)
		f.Add(append(wire, 0x98, 0x06, 0x01), 1)
		f.Add(wire[:len(wire)-1], 1)
	}
	f.Fuzz(func(t *testing.T, wire []byte, piece int) {
		var got inFrame
		want := &pb.AttachResponse{}
		wantErr := proto.Unmarshal(wire, want)
		gotErr := newCodec().Unmarshal(split(wire, max(piece, 1)), &got)
		require.Equal(t, wantErr == nil, gotErr == nil)
		if wantErr == nil {
			// Unknown fields inside a frame that was read by protobuf are passed over.
			require.True(t, proto.Equal(known(want), got.message()))
		}
	})
}

// known is the message without the unknown fields of a frame whose content alone matters.
func known(m *pb.AttachResponse) *pb.AttachResponse {
	switch frame := m.GetFrame().(type) {
	case *pb.AttachResponse_SocketData:
		frame.SocketData.ProtoReflect().SetUnknown(nil)
		m.ProtoReflect().SetUnknown(nil)
	case *pb.AttachResponse_OutputProgress:
		frame.OutputProgress.ProtoReflect().SetUnknown(nil)
		m.ProtoReflect().SetUnknown(nil)
	}
	return m
}
