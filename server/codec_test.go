package server

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/session"
)

// http2 cuts a message in pieces of n bytes, in pooled buffers, as frames of
// HTTP/2 do.
func http2(message []byte, n int) mem.BufferSlice {
	var pieces mem.BufferSlice
	for len(message) > n {
		pieces = append(pieces, mem.Copy(message[:n], buffers))
		message = message[n:]
	}
	return append(pieces, mem.Copy(message, buffers))
}

func dataRequest(offset, generation int64, payload []byte) *pb.AttachRequest {
	return &pb.AttachRequest{Frame: &pb.AttachRequest_Data{Data: &pb.Data{Offset: offset, Generation: generation, Payload: payload}}}
}

func encoded(tb testing.TB, m proto.Message) []byte {
	tb.Helper()
	wire, err := proto.Marshal(m)
	require.NoError(tb, err)
	return wire
}

// decoded is what the codec makes of a message, as the request that it means.
// short: protobuf was not asked.
func decoded(message []byte, piece int) (m *pb.AttachRequest, short bool, err error) {
	wire := http2(message, piece)
	var f inFrame
	err = newCodec().Unmarshal(wire, &f)
	wire.Free() // as gRPC does; what the frame needs it has referenced
	if err != nil || f.payload == nil {
		return f.request, false, err
	}
	m = dataRequest(f.offset, f.generation, bytes.Join(f.payload.pieces, nil))
	f.payload.Release()
	return m, true, nil
}

func TestDataFramesAreReadWithoutProtobuf(t *testing.T) {
	t.Parallel()
	for _, offset := range []int64{0, 1, 127, 128, maxOffset, -1} {
		for _, generation := range []int64{0, 1, 1 << 40} {
			for _, size := range []int{1, 100, 5000, 20_000, 64 << 10, maxPayloadBytes} {
				want := dataRequest(offset, generation, bytes.Repeat([]byte{7}, size))
				wire := encoded(t, want)
				for _, piece := range []int{7, 1500, 16 << 10, len(wire)} {
					got, short, err := decoded(wire, piece)
					require.NoError(t, err)
					require.True(t, short)
					require.True(t, proto.Equal(want, got), "%d bytes in pieces of %d", size, piece)
				}
			}
		}
	}
}

// field is a field of bytes, or of a number where p is nil.
func field(number protowire.Number, v uint64, p []byte) []byte {
	if p == nil {
		return protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), v)
	}
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), p)
}

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// unusual are encodings of data frames, and of what is none, that no encoder
// writes, or that are not to be obeyed.
func unusual() map[string][]byte {
	payload := field(fieldPayload, 0, []byte("payload"))
	offset, generation := field(fieldOffset, 5, nil), field(fieldGeneration, 1, nil)
	frame := func(parts ...[]byte) []byte { return field(fieldData, 0, cat(parts...)) }
	return map[string][]byte{
		"nothing":                   {},
		"an empty frame":            frame([]byte{}),
		"no payload":                frame(offset, generation),
		"an empty payload":          frame(offset, field(fieldPayload, 0, []byte{})),
		"too large a payload":       frame(offset, field(fieldPayload, 0, make([]byte, maxPayloadBytes+1))),
		"another order":             frame(payload, offset),
		"numbers the other way":     frame(generation, offset, payload),
		"offset twice":              frame(offset, offset, payload),
		"payload twice":             frame(payload, payload),
		"a zero that is written":    frame(field(fieldOffset, 0, nil), payload),
		"a long offset":             frame([]byte{fieldOffset << 3, 0x85, 0x00}, payload),
		"a long tag":                frame([]byte{fieldOffset<<3 | 0x80, 0x00, 5}, payload),
		"a long length":             cat([]byte{fieldData<<3 | 2, 0x80 | byte(len(payload)), 0x00}, payload),
		"an unknown field":          frame(offset, field(4, 1, nil), payload),
		"an unknown field after it": frame(payload, field(16, 1, nil)),
		"an unknown field beside":   cat(frame(payload), field(99, 1, nil)),
		"a frame twice":             cat(frame(offset, payload), frame(payload)),
		"a frame in two parts":      cat(frame(offset), frame(payload)),
		"two frames":                cat(frame(payload), field(5, 0, offset)),
		"another frame":             field(5, 0, offset),
		"the wrong type":            field(fieldData, 7, nil),
		"cut off":                   frame(offset, payload)[:12],
		"cut off in the header":     frame(offset, payload)[:3],
		"too long a number":         frame(append([]byte{fieldOffset << 3}, bytes.Repeat([]byte{0xff}, 10)...), payload),
	}
}

func TestUnusualFramesAreForProtobufToJudge(t *testing.T) {
	t.Parallel()
	for name, wire := range unusual() {
		want := new(pb.AttachRequest)
		wantErr := proto.Unmarshal(wire, want)
		got, short, err := decoded(wire, 3)
		require.False(t, short, name)
		require.Equal(t, wantErr == nil, err == nil, name)
		if err == nil {
			require.True(t, proto.Equal(want, got), name)
		}
	}
}

// FuzzInFrame: whatever comes, in whatever pieces, the codec and protobuf agree
// on what it means, and on whether it means anything.
func FuzzInFrame(f *testing.F) {
	f.Add(encoded(f, dataRequest(300, 1, []byte("payload"))), 3)
	for name, wire := range unusual() {
		if len(wire) < 100 {
			f.Add(wire, len(name))
		}
	}
	f.Fuzz(func(t *testing.T, wire []byte, piece int) {
		want := new(pb.AttachRequest)
		wantErr := proto.Unmarshal(wire, want)
		got, _, err := decoded(wire, max(piece, 1))
		require.Equal(t, wantErr == nil, err == nil)
		if wantErr == nil {
			require.True(t, proto.Equal(want, got))
		}
	})
}

// received is what a session hands out.
func received(offset, generation int64, payload []byte) session.Received {
	r := session.Received{Offset: offset, Generation: generation}
	r.Bytes = payload
	return r
}

// wireOf sends a frame, and frees what gRPC would.
func wireOf(tb testing.TB, f any) []byte {
	tb.Helper()
	wire, err := newCodec().Marshal(f)
	require.NoError(tb, err)
	defer wire.Free()
	return wire.Materialize()
}

func checkOutFrames(tb testing.TB, a, b, c int64, payload []byte) {
	tb.Helper()
	require.Equal(tb, encoded(tb, &pb.AttachResponse{Frame: &pb.AttachResponse_SocketData{
		SocketData: &pb.Data{Offset: a, Generation: b, Payload: payload},
	}}), wireOf(tb, socketData(received(a, b, payload))))
	require.Equal(tb, encoded(tb, &pb.AttachResponse{Frame: &pb.AttachResponse_OutputProgress{
		OutputProgress: &pb.OutputProgress{AcceptedOffset: a, WrittenOffset: b, SendLimit: maxOffset, Generation: c},
	}}), wireOf(tb, outputProgress(&session.Progress{Accepted: a, Written: b, SendLimit: session.NoLimit, Generation: c})))
}

func TestOutFramesAreProtobuf(t *testing.T) {
	t.Parallel()
	for _, a := range []int64{0, 1, 127, 128, maxOffset, -1} {
		for _, b := range []int64{0, 1, 1 << 40} {
			for _, size := range []int{1, 127, 128, maxShort, maxShort + 1, 64 << 10} {
				checkOutFrames(t, a, b, 1, bytes.Repeat([]byte{7}, size))
			}
		}
	}
}

// FuzzOutFrame: the codec writes the bytes that protobuf would.
func FuzzOutFrame(f *testing.F) {
	f.Add(int64(0), int64(0), int64(0), []byte{1})
	f.Add(int64(300), int64(1), int64(-1), []byte("payload"))
	f.Fuzz(func(t *testing.T, a, b, c int64, payload []byte) {
		if len(payload) > 0 && len(payload) <= 64<<10 { // a session has no other
			checkOutFrames(t, a, b, c, payload)
		}
	})
}

// Every other message is gRPC's own codec's business.
func TestOtherMessagesAreProtobuf(t *testing.T) {
	t.Parallel()
	for _, m := range []proto.Message{
		&pb.AttachResponse{Frame: &pb.AttachResponse_SocketData{SocketData: &pb.Data{Payload: make([]byte, 5000)}}},
		dataRequest(1, 1, make([]byte, 5000)),
		&pb.GetSessionRequest{SessionId: "x"},
	} {
		wire, err := newCodec().Marshal(m)
		require.NoError(t, err)
		require.Equal(t, encoded(t, m), wire.Materialize())
		got := m.ProtoReflect().New().Interface()
		require.NoError(t, newCodec().Unmarshal(wire, got))
		require.True(t, proto.Equal(m, got))
		wire.Free()
	}
}
