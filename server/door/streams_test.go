package door_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"securesocket/server/door"
)

// TestAnswersThatNobodyTakesKeepTheirStreams: the RPC has ended, but what its caller
// still sends is kept.
func TestAnswersThatNobodyTakesKeepTheirStreams(t *testing.T) {
	t.Parallel()
	const most = 10
	d := door.New(door.Config{RPCsPerCaller: most})
	l := listen(t, "tcp")
	ended := make(chan struct{})
	s := grpc.NewServer(grpc.Creds(d.Credentials(insecure.NewCredentials())),
		grpc.InTapHandle(func(ctx context.Context, _ *tap.Info) (context.Context, error) {
			ticket := door.FromContext(ctx)
			if err := ticket.Claim("anna"); err != nil {
				return ctx, err
			}
			if err := ticket.Begin(ctx); err != nil {
				return ctx, status.Error(codes.ResourceExhausted, err.Error())
			}
			return ctx, nil
		}))
	s.RegisterService(&grpc.ServiceDesc{ServiceName: "x", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{{
		StreamName: "Y", ServerStreams: true, ClientStreams: true,
		Handler: func(_ any, ss grpc.ServerStream) error {
			context.AfterFunc(ss.Context(), func() { ended <- struct{}{} })
			return ss.SendMsg(&healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING})
		},
	}}}, nil)
	done := make(chan error, 1)
	go func() { done <- s.Serve(d.Listener(l)) }()
	defer func() { s.Stop(); <-done }()

	conn, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = io.WriteString(conn, http2.ClientPreface)
	require.NoError(t, err)
	fr := http2.NewFramer(conn, conn)
	require.NoError(t, fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}))
	var headers bytes.Buffer
	enc := hpack.NewEncoder(&headers)
	stream := uint32(1)
	call := func() {
		headers.Reset()
		for _, f := range []hpack.HeaderField{
			{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":authority", Value: "a"},
			{Name: ":path", Value: "/x/Y"}, {Name: "content-type", Value: "application/grpc"},
		} {
			require.NoError(t, enc.WriteField(f))
		}
		require.NoError(t, fr.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: headers.Bytes(), EndHeaders: true}))
		stream += 2
	}
	refused := func() uint32 { // the next stream that ends
		for {
			f, err := fr.ReadFrame()
			require.NoError(t, err)
			if h, ok := f.(*http2.HeadersFrame); ok && h.StreamEnded() {
				return h.StreamID
			}
		}
	}
	for range 2 * most {
		call()
		<-ended
	}
	call()
	require.Equal(t, stream-2, refused())
	require.NoError(t, fr.WriteRSTStream(1, http2.ErrCodeCancel))
	call()
	<-ended // there was room for it
	call()
	require.Equal(t, stream-2, refused())
}

// TestStreamsThatNobodyAnswersAreAFlood: a server that drains answers none.
func TestStreamsThatNobodyAnswersAreAFlood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{FrameBurst: 100})
		v := visit(t, d, "192.0.2.1")
		require.NoError(t, v.ticket().Claim("eve"))
		v.greets(t)
		for stream := uint32(1); stream < 201; stream += 2 {
			require.NoError(t, v.sends(t, begins(stream)))
		}
		v.answers(t, trailers(1))
		require.NoError(t, v.sends(t, begins(201)))
		var flood *door.FloodError
		require.ErrorAs(t, v.sends(t, begins(203)), &flood)
	})
}

// TestStreamsAreGivenBack by connections that are claimed, and by those that end.
func TestStreamsAreGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := door.New(door.Config{RPCs: 12, RPCsPerCaller: 4})
		stays := visit(t, d, "192.0.2.1")
		require.NoError(t, stays.ticket().Claim("anna"))
		for range 14 {
			v := visit(t, d, "192.0.2.1")
			v.greets(t)
			require.NoError(t, v.sends(t, begins(1)))
			require.NoError(t, v.ticket().Claim("anna"))
			require.NoError(t, v.sends(t, begins(3)))
			require.NoError(t, v.Close())
		}
		for range 4 {
			require.NoError(t, stays.ticket().Begin(t.Context()))
		}
		stranger := visit(t, d, "192.0.2.1")
		for range 6 {
			require.NoError(t, stranger.ticket().Begin(t.Context()))
		}
	})
}
