package client

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
)

// counting is a pool that knows what is out.
type counting struct{ out int }

func (p *counting) Get(length int) *[]byte {
	p.out++
	return new(make([]byte, length))
}

func (p *counting) Put(*[]byte) { p.out-- }

// received is a data frame as it comes from gRPC, in buffers of that size, each filled up to fill.
func received(t *testing.T, pool *counting, payload []byte, size, fill int) (*inFrame, mem.BufferSlice) {
	t.Helper()
	rest, err := proto.Marshal(&pb.AttachResponse{Frame: &pb.AttachResponse_SocketData{SocketData: &pb.Data{Payload: payload}}})
	require.NoError(t, err)
	var wire mem.BufferSlice
	for len(rest) > 0 {
		b := pool.Get(size)
		*b = (*b)[:copy((*b)[:fill], rest)]
		rest = rest[len(*b):]
		wire = append(wire, mem.NewBuffer(b, pool))
	}
	frame := new(inFrame)
	require.True(t, frame.read(wire))
	wire.Free()
	return frame, wire
}

// TestPayloadsPinLittle: what is in small parts of large buffers is copied, what fills them is not; and every buffer is
// given back.
func TestPayloadsPinLittle(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		payload, size, fill int
		copied              bool
	}{
		"bulk":                    {64 << 10, 16 << 10, 16 << 10, false},
		"small":                   {100, 16 << 10, 16 << 10, true},
		"small parts":             {16 << 10, 16 << 10, 100, true},
		"many small buffers":      {64 << 10, 2 << 10, 2 << 10, true},
		"half of a large message": {9 << 10, 16 << 10, 16 << 10, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var r receiveBuffer
			r.init(maxUnread)
			var pool counting
			want := bytes.Repeat([]byte("0123456789abcdef"), tc.payload/16+1)[:tc.payload]
			frame, _ := received(t, &pool, want, tc.size, tc.fill)
			require.Positive(t, pool.out)
			r.put(frame, 0)
			frame.drop()
			require.Equal(t, tc.copied, pool.out == 0)
			got := make([]byte, tc.payload+1)
			n, err := r.read(got)
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, got[:n]))
			require.Zero(t, pool.out)
			require.Zero(t, r.held)
			require.Nil(t, r.tail, "an idle Conn holds nothing")
			require.EqualValues(t, tc.payload, r.returned())

			frame, _ = received(t, &pool, want, tc.size, tc.fill)
			r.put(frame, 7)
			frame.drop()
			n, err = r.read(got)
			require.NoError(t, err)
			require.True(t, bytes.Equal(want[7:], got[:n]), "what came before is passed over")

			frame, _ = received(t, &pool, want, tc.size, tc.fill)
			r.put(frame, 0)
			frame.drop()
			r.close()
			require.Zero(t, pool.out)
		})
	}
}

// TestSmallPayloadsShareChunks: many of them between two Reads are one piece.
func TestSmallPayloadsShareChunks(t *testing.T) {
	t.Parallel()
	var r receiveBuffer
	r.init(maxUnread)
	var pool counting
	var want []byte
	for i := range 1000 {
		payload := bytes.Repeat([]byte{byte(i)}, 30)
		want = append(want, payload...)
		frame, _ := received(t, &pool, payload, 4<<10, 4<<10)
		r.put(frame, 0)
		frame.drop()
	}
	require.Less(t, len(r.pieces), 15)
	var got []byte
	for p := make([]byte, 777); len(got) < len(want); {
		n, err := r.read(p)
		require.NoError(t, err)
		got = append(got, p[:n]...)
	}
	require.Equal(t, want, got)
	require.Zero(t, r.held)
}
