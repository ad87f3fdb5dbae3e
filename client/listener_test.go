package client_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
)

// fakeListener is a service whose Accept follows a script.
type fakeListener struct {
	pb.UnimplementedListenerServiceServer
	accepts atomic.Int32
	accept  func(n int32, request *pb.AcceptRequest, stream grpc.ServerStreamingServer[pb.AcceptResponse]) error
}

func (f *fakeListener) Listen(_ context.Context, request *pb.ListenRequest) (*pb.ListenResponse, error) {
	return &pb.ListenResponse{Listener: &pb.Listener{
		ListenerId: "zyxwvutsrqponmlkjihgfedcba", Local: &pb.Endpoint{Address: request.GetAddress(), Port: 4433},
		Settings: request.GetSettings(),
	}}, nil
}

func (f *fakeListener) Accept(request *pb.AcceptRequest, stream grpc.ServerStreamingServer[pb.AcceptResponse]) error {
	return f.accept(f.accepts.Add(1), request, stream)
}

func (f *fakeListener) CloseListener(context.Context, *pb.CloseListenerRequest) (*pb.CloseListenerResponse, error) {
	return &pb.CloseListenerResponse{}, nil
}

const acceptedID = "abcdefghijklmnopqrstuvwxyz"

// accepted is a session that was accepted.
func accepted() *pb.AcceptResponse {
	return &pb.AcceptResponse{
		Session: &pb.Session{
			SessionId: acceptedID, Generation: 1, State: pb.State_STATE_CONNECTED, Mode: pb.Mode_MODE_PLAIN,
			Host: "192.0.2.7", Port: 7, Local: endpoint(nil), Remote: &pb.Endpoint{Address: "192.0.2.7", Port: 7},
		},
		ResumeToken: []byte("token"),
	}
}

// listenFake listens at a service with that Accept, and that Attach.
func listenFake(t *testing.T, f *fakeListener, attach func(*fakeStream) error) *client.Listener {
	t.Helper()
	c, _ := startFakeWith(t, attach, func(server *grpc.Server) { pb.RegisterListenerServiceServer(server, f) })
	l, err := c.Listen(t.Context(), "127.0.0.1:0", &client.ListenConfig{
		Plain: true, Settings: &pb.SessionSettings{DetachGrace: durationpb.New(10 * time.Second)},
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// TestListenerAttachesOnce: a session that is given out again, on another stream, is not attached again.
func TestListenerAttachesOnce(t *testing.T) {
	t.Parallel()
	var attached atomic.Int32
	again := make(chan struct{})
	f := &fakeListener{accept: func(n int32, request *pb.AcceptRequest, stream grpc.ServerStreamingServer[pb.AcceptResponse]) error {
		if n > 3 {
			<-stream.Context().Done()
			return nil
		}
		if request.GetListenerId() == "zyxwvutsrqponmlkjihgfedcba" {
			_ = stream.Send(accepted())
		}
		if n == 3 {
			close(again)
		}
		return errCut
	}}
	l := listenFake(t, f, func(s *fakeStream) error {
		attached.Add(1)
		if s.attach.GetSessionId() != acceptedID || string(s.attach.GetResumeToken()) != "token" || s.attach.GetAttachSeq() != 1 {
			t.Errorf("attach %v", s.attach)
		}
		<-again
		s.plain()
		_, _ = s.Recv()
		return nil
	})
	conn, err := l.AcceptConn(t.Context())
	require.NoError(t, err)
	require.Equal(t, acceptedID, conn.SessionID())
	require.EqualValues(t, 1, attached.Load())
	require.Equal(t, "127.0.0.1:4433", l.Addr().String())
	conn.Abort()
}

// TestListenerDropsFailures: a session that cannot be attached, or fails before it is ready, is not told of.
func TestListenerDropsFailures(t *testing.T) {
	t.Parallel()
	f := &fakeListener{accept: func(n int32, _ *pb.AcceptRequest, stream grpc.ServerStreamingServer[pb.AcceptResponse]) error {
		for i := range 3 {
			given := accepted()
			given.Session.SessionId = acceptedID[1:] + string(rune('0'+i))
			_ = stream.Send(given)
		}
		<-stream.Context().Done()
		return nil
	}}
	l := listenFake(t, f, func(s *fakeStream) error {
		switch id := s.attach.GetSessionId(); id[25] {
		case '0':
			return refusal(codes.NotFound, pb.ErrorReason_ERROR_REASON_SESSION_NOT_FOUND, nil)
		case '1':
			s.attachedTo(id)
			s.failed(pb.Phase_PHASE_HANDSHAKE, codes.FailedPrecondition, pb.ErrorReason_ERROR_REASON_NOT_TLS)
			return nil
		default:
			s.attachedTo(id)
			s.plainEvents()
			_, _ = s.Recv()
			return nil
		}
	})
	conn, err := l.AcceptConn(t.Context())
	require.NoError(t, err)
	require.Equal(t, acceptedID[1:]+"2", conn.SessionID())
	conn.Abort()
}

// TestListenerIsLost: the service does not come back within the listener's grace.
func TestListenerIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeListener{accept: func(int32, *pb.AcceptRequest, grpc.ServerStreamingServer[pb.AcceptResponse]) error { return errCut }}
		l := listenFake(t, f, nil)
		began := time.Now()
		_, err := l.Accept()
		e := requireError(t, err, pb.ErrorReason_ERROR_REASON_LISTENER_NOT_FOUND)
		require.False(t, e.Temporary())
		require.Equal(t, codes.Unavailable, client.FromError(e.Unwrap()).Code)
		require.InDelta(t, 15, time.Since(began).Seconds(), 6, "its grace and a little")
		require.Less(t, f.accepts.Load(), int32(60), "with pauses")
		require.NoError(t, l.Close())
	})
}

// TestListenerEndsForGood: what no other stream would change.
func TestListenerEndsForGood(t *testing.T) {
	t.Parallel()
	for _, reason := range []pb.ErrorReason{
		pb.ErrorReason_ERROR_REASON_SUPERSEDED, pb.ErrorReason_ERROR_REASON_LISTENER_NOT_FOUND,
	} {
		f := &fakeListener{accept: func(int32, *pb.AcceptRequest, grpc.ServerStreamingServer[pb.AcceptResponse]) error {
			return refusal(codes.Aborted, reason, nil)
		}}
		l := listenFake(t, f, nil)
		for range 2 {
			_, err := l.Accept()
			requireError(t, err, reason)
		}
		require.EqualValues(t, 1, f.accepts.Load())
		require.NoError(t, l.Close())
		_, err := l.Accept()
		require.ErrorIs(t, err, net.ErrClosed)
	}
}
