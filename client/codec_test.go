package client

import (
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

func TestCodecIsProtobuf(t *testing.T) {
	t.Parallel()
	for _, offset := range []int64{0, 1, 127, 128, 1<<53 - 1, -1} {
		for _, generation := range []int64{0, 1, 1 << 40} {
			for _, size := range []int{0, 1, 100, 20_000, maxPayload} {
				data := &pb.Data{Offset: offset, Generation: generation, Payload: make([]byte, size)}
				request := &pb.AttachRequest{Frame: &pb.AttachRequest_Data{Data: data}}
				got, err := newCodec().Marshal(request)
				require.NoError(t, err)
				want, err := proto.MarshalOptions{Deterministic: true}.Marshal(request)
				require.NoError(t, err)
				require.Equal(t, want, got.Materialize())

				response := &pb.AttachResponse{Frame: &pb.AttachResponse_SocketData{SocketData: data}}
				wire, err := proto.Marshal(response)
				require.NoError(t, err)
				for _, piece := range []int{1, 7, 16 << 10, len(wire)} {
					decoded := &pb.AttachResponse{}
					require.NoError(t, newCodec().Unmarshal(split(wire, piece), decoded))
					require.True(t, proto.Equal(response, decoded))
					require.Equal(t, size > 0, decodeData(split(wire, piece)) != nil, "the short way")
				}
			}
		}
	}
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
		want, got := &pb.AttachResponse{}, &pb.AttachResponse{}
		wantErr := proto.Unmarshal(wire, want)
		gotErr := newCodec().Unmarshal(split(wire, max(piece, 1)), got)
		require.Equal(t, wantErr == nil, gotErr == nil)
		if wantErr == nil {
			require.True(t, proto.Equal(want, got))
		}
	})
}
