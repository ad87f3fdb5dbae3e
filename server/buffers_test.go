package server

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/mem"

	pb "securesocket/gen/securesocket/v1"
)

func TestBuffersHaveTheNextTiersCapacity(t *testing.T) {
	t.Parallel()
	var p bufferPool
	for _, tc := range []struct{ length, capacity int }{
		{0, 2 << 10},
		{1, 2 << 10},
		{2 << 10, 2 << 10},
		{2<<10 + 1, 4 << 10},
		{4<<10 + 1, 8 << 10},
		{8<<10 + 1, 16 << 10},
		{16 << 10, 16 << 10},
		{20 << 10, 32 << 10},
		{64<<10 + 30, 64<<10 + headerRoom},
		{65<<10 + 1, 128 << 10},
		{256 << 10, 256 << 10},
		{256<<10 + 1, 256<<10 + 1},
	} {
		for range 2 { // a new one, and perhaps the one that was put back
			b := p.Get(tc.length)
			require.Len(t, *b, tc.length)
			require.Equal(t, tc.capacity, cap(*b))
			p.Put(b)
		}
	}
	foreign := make([]byte, 5000)
	p.Put(&foreign)
	require.Equal(t, 4<<10, cap(*p.Get(4 << 10)), "what is of no tier is dropped")
}

// returns counts the buffers that came back.
type returns int

func (*returns) Get(length int) *[]byte { b := make([]byte, length); return &b }
func (r *returns) Put(b *[]byte)        { clear(*b); *r++ }

// counted cuts a message in buffers of n bytes that have the capacity of a
// pooled one of 16 KiB.
func counted(message []byte, n int, pool mem.BufferPool) (wire mem.BufferSlice) {
	for len(message) > 0 {
		b := append(make([]byte, 0, 16<<10), message[:min(n, len(message))]...)
		message = message[len(b):]
		wire = append(wire, mem.NewBuffer(&b, pool))
	}
	return wire
}

func TestPayloadIsReferencedUntilItIsReleased(t *testing.T) {
	t.Parallel()
	want := bytes.Repeat([]byte("payload "), 8<<10)
	var back returns
	wire := counted(encoded(t, dataRequest(1, 1, want)), 16<<10, &back)
	var f inFrame
	require.NoError(t, newCodec().Unmarshal(wire, &f))
	wire.Free()
	require.Zero(t, back)
	require.Equal(t, want, bytes.Join(f.payload.pieces, nil))
	f.payload.Release()
	require.EqualValues(t, len(wire), back)
}

// A payload in little parts of large buffers would hold many times its size.
func TestPayloadInLittlePartsIsCopied(t *testing.T) {
	t.Parallel()
	want := bytes.Repeat([]byte("payload "), 1<<10)
	for _, piece := range []int{1, 100, 4 << 10, 16 << 10} {
		var back returns
		wire := counted(encoded(t, dataRequest(1, 1, want[:6000])), piece, &back)
		var f inFrame
		require.NoError(t, newCodec().Unmarshal(wire, &f))
		wire.Free()
		require.EqualValues(t, len(wire), back)
		require.Equal(t, want[:6000], bytes.Join(f.payload.pieces, nil))
		f.payload.Release()
	}
}

// What came from the peer stays until gRPC's last reference is gone. Not
// parallel: nobody else takes the frame from its pool meanwhile.
func TestOutFrameStaysUntilItsLastReference(t *testing.T) {
	payload := bytes.Repeat([]byte("payload "), 8<<10)
	f := newOutFrame(received(1, 1, payload))
	sending, err := newCodec().Marshal(f)
	require.NoError(t, err)
	want := encoded(t, &pb.AttachResponse{Frame: &pb.AttachResponse_SocketData{SocketData: &pb.Data{Offset: 1, Generation: 1, Payload: payload}}})
	sending.Ref() // the transport's
	sending.Free()
	require.NotEmpty(t, f.data.Bytes)
	require.Equal(t, want, sending.Materialize())
	transport := sending.Reader() // which frees as it reads
	sending.Free()
	got := make([]byte, len(want))
	n, err := transport.Read(got[:len(want)-1])
	require.NoError(t, err)
	require.NotEmpty(t, f.data.Bytes)
	_, err = transport.Read(got[n:])
	require.NoError(t, err)
	require.Empty(t, f.data.Bytes)
	require.Equal(t, want, got)
}
