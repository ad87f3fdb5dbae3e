package server_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// ofTheOwner fills buffers with what nobody else has.
var ofTheOwner = bytes.Repeat([]byte("bytes of the owner; "), 64<<10/20)

// TestThreat56BuffersOfOthers: the buffers that one caller's bytes went through serve another's next. Nothing of them shows,
// in the messages as they come over the wire, in what the peers get, or in what is told.
func TestThreat56BuffersOfOthers(t *testing.T) {
	t.Parallel()
	got := make(chan []byte, 64)
	w := newResumableWorld(t, func(conn *tls.Conn) {
		all, _ := io.ReadAll(io.TeeReader(conn, conn))
		got <- all
	})
	cc := w.svc.Dial(t)
	for _, size := range neighbourSizes {
		fillBuffers(t, w)
		require.True(t, bytes.HasPrefix(<-got, ofTheOwner))
		sent := []byte(strings.Repeat("n", size))
		wire := rawEcho(t, cc, w, sent)
		require.NotContains(t, string(wire), "of the owner", "%d bytes", size)
		require.Equal(t, sent, <-got, "the peer got what was sent")
	}
}

// neighbourSizes are of messages in buffers of every tier, and in none.
var neighbourSizes = []int{1, 100, 1023, 1500, 2 << 10, 5000, 16 << 10, 33_000, 64 << 10}

// fillBuffers has the owner's bytes go through every buffer on the way to the peer and back.
func fillBuffers(t *testing.T, w *resumableWorld) {
	t.Helper()
	m := w.open("")
	m.AttachSeq = 1
	k := start(servertest.As(t.Context(), theOwner), t, w.direct, openFrame(m))
	k.until(func() bool { return k.attached != nil })
	k.secure()
	var sending sync.WaitGroup
	sending.Go(func() {
		for range 8 {
			k.write(ofTheOwner)
		}
		k.finish()
	})
	k.until(func() bool { return len(k.data) == 8*len(ofTheOwner) })
	sending.Wait()
	k.closed()
	k.send(ackFrame(1, int64(len(k.data)), int64(len(k.events))))
	require.NoError(t, k.end())
}

// TestThreat56BuffersWithoutStreams: nor does anything of them show to a neighbour who has no stream, or no TLS.
func TestThreat56BuffersWithoutStreams(t *testing.T) {
	t.Parallel()
	got := make(chan []byte, 64)
	echo := func(conn net.Conn) {
		all, _ := io.ReadAll(io.TeeReader(conn, conn))
		got <- all
	}
	w := newResumableWorld(t, func(conn *tls.Conn) { echo(conn) })
	plain := tlstest.ServeRaw(t, func(conn net.Conn) {
		echo(conn)
		_ = conn.(*net.TCPConn).CloseWrite()
	})
	cc := w.svc.Dial(t)
	for _, size := range neighbourSizes {
		for _, addr := range []string{w.addr, plain} {
			fillBuffers(t, w)
			require.True(t, bytes.HasPrefix(<-got, ofTheOwner))
			sent := []byte(strings.Repeat("n", size))
			wire := rawUnaryEcho(t, cc, w.direct, addr, addr == plain, sent)
			require.NotContains(t, string(wire), "of the owner", "%d bytes", size)
			require.Equal(t, sent, <-got, "the peer got what was sent")
		}
	}
}

// rawUnaryEcho is rawEcho by calls of their own.
func rawUnaryEcho(t *testing.T, cc *grpc.ClientConn, c pb.SecureSocketServiceClient, addr string, plain bool, payload []byte) (wire []byte) {
	t.Helper()
	ctx := servertest.As(t.Context(), theNeighbour)
	s := newIdle(ctx, t, c, nil)
	host, port := hostPort(t, addr)
	_, err := c.Connect(ctx, &pb.ConnectRequest{SessionId: s.id, Host: host, Port: port, Plain: plain})
	require.NoError(t, err)
	request, err := proto.Marshal(&pb.WriteRequest{SessionId: s.id, Payload: payload, Finish: true})
	require.NoError(t, err)
	require.NoError(t, cc.Invoke(ctx, pb.SecureSocketService_Write_FullMethodName, &request, &wire, grpc.ForceCodec(asIs{})))
	request, err = proto.Marshal(&pb.ReadRequest{SessionId: s.id, Wait: true})
	require.NoError(t, err)
	stream, err := cc.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, pb.SecureSocketService_Read_FullMethodName, grpc.ForceCodec(asIs{}))
	require.NoError(t, err)
	require.NoError(t, stream.SendMsg(&request))
	require.NoError(t, stream.CloseSend())
	for received := 0; ; {
		var b []byte
		if err := stream.RecvMsg(&b); err != nil {
			require.ErrorIs(t, err, io.EOF)
			require.Equal(t, len(payload), received)
			return wire
		}
		var frame pb.ReadResponse
		require.NoError(t, proto.Unmarshal(b, &frame))
		data := frame.GetSocketData().GetPayload()
		received += len(data)
		require.Equal(t, strings.Repeat("n", len(data)), string(data))
		wire = append(wire, b...)
	}
}

// rawEcho sends bytes to the peer as a neighbour and returns every message of the stream as it came.
func rawEcho(t *testing.T, cc *grpc.ClientConn, w *resumableWorld, payload []byte) (wire []byte) {
	t.Helper()
	stream, err := cc.NewStream(servertest.As(t.Context(), theNeighbour), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true},
		pb.SecureSocketService_Attach_FullMethodName, grpc.ForceCodec(asIs{}))
	require.NoError(t, err)
	send := func(m *pb.AttachRequest) {
		b, err := proto.Marshal(m)
		require.NoError(t, err)
		require.NoError(t, stream.SendMsg(&b))
	}
	m := w.open("")
	m.AttachSeq, m.Settings = 1, nil
	send(openFrame(m))
	for received := 0; ; {
		var b []byte
		if err := stream.RecvMsg(&b); err != nil {
			require.ErrorIs(t, err, io.EOF, fmt.Sprint(err))
			require.Equal(t, len(payload), received)
			return wire
		}
		var frame pb.AttachResponse
		require.NoError(t, proto.Unmarshal(b, &frame))
		if frame.GetEvent().GetSecureConnected() != nil {
			send(&pb.AttachRequest{Frame: &pb.AttachRequest_Data{Data: &pb.Data{Generation: 1, Payload: payload}}})
			send(&pb.AttachRequest{Frame: &pb.AttachRequest_Finish{Finish: &pb.Finish{Offset: int64(len(payload)), Generation: 1}}})
		}
		if data := frame.GetSocketData(); data != nil {
			received += len(data.GetPayload())
			require.Equal(t, strings.Repeat("n", len(data.GetPayload())), string(data.GetPayload()))
			require.Less(t, len(b), len(data.GetPayload())+64, "nothing behind the payload")
			if received == len(payload) {
				require.NoError(t, stream.CloseSend())
			}
		}
		wire = append(wire, b...)
	}
}
