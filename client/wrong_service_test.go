package client_test

import (
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
)

// Many little frames fill gRPC's quota of a stream long before their bytes do: a
// Write must not be caught in it.
func TestLittleWritesKeepTheirDeadline(t *testing.T) {
	t.Parallel()
	c, _ := startFake(t, func(s *fakeStream) error {
		s.secure(nil, nil, "")
		<-s.Context().Done() // receives nothing, as the service does when its ring is full
		return nil
	})
	conn, err := c.DialContext(t.Context(), "tcp", "example.com:443")
	require.NoError(t, err)
	defer conn.Abort()
	require.NoError(t, conn.SetWriteDeadline(time.Now().Add(time.Second)))
	ended := make(chan error, 1)
	go func() {
		for {
			if _, err := conn.Write([]byte{1}); err != nil {
				ended <- err
				return
			}
		}
	}()
	select {
	case err := <-ended:
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	case <-time.After(patience):
		t.Fatal("blocked beyond the deadline")
	}
}

const patience = 20 * time.Second

// again is a connection whose first stream takes 300 KiB, accepts nothing and
// breaks. attach is what the service does with the streams after it, which it
// counts.
func again(t *testing.T, attach func(s *fakeStream) error) (*client.Conn, *atomic.Int32) {
	t.Helper()
	streams := new(atomic.Int32)
	c, _ := startFake(t, func(s *fakeStream) error {
		s.known = true
		s.frame(&pb.AttachResponse{Frame: &pb.AttachResponse_Attached{Attached: &pb.Attached{
			Session:     &pb.Session{SessionId: "abcdefghijklmnopqrstuvwxyz", Generation: 1},
			ResumeToken: make([]byte, 32), SendLimit: 1 << 20,
		}}})
		if streams.Add(1) > 1 {
			return attach(s)
		}
		s.secure(nil, nil, "")
		for got := 0; got < 300<<10; {
			m, err := s.Recv()
			if err != nil {
				return err
			}
			got += len(m.GetData().GetPayload())
		}
		return status.Error(codes.Unavailable, "cut")
	})
	conn, err := (&client.Dialer{Client: c, Resumable: true}).Dial(t.Context(), "tcp", "example.com:443")
	require.NoError(t, err)
	t.Cleanup(conn.Abort)
	_, err = conn.Write(make([]byte, 300<<10))
	require.NoError(t, err)
	return conn, streams
}

// A service that says it has what this stream has not sent yet has lost count.
func TestAcceptedBeforeItIsSent(t *testing.T) {
	t.Parallel()
	conn, _ := again(t, func(s *fakeStream) error {
		s.frame(&pb.AttachResponse{Frame: &pb.AttachResponse_OutputProgress{OutputProgress: &pb.OutputProgress{
			AcceptedOffset: 300 << 10, SendLimit: 1 << 20, Generation: 1,
		}}})
		<-s.Context().Done()
		return nil
	})
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	_, err := conn.Read(make([]byte, 1))
	var e *client.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, pb.ErrorReason_ERROR_REASON_INTERNAL, e.Reason)
}

// A way that always breaks behind the first frame is not tried as fast as it goes.
func TestStreamsThatBreakAtOnceAreSpaced(t *testing.T) {
	t.Parallel()
	_, streams := again(t, func(s *fakeStream) error {
		s.frame(&pb.AttachResponse{Frame: &pb.AttachResponse_OutputProgress{OutputProgress: &pb.OutputProgress{SendLimit: 1 << 20, Generation: 1}}})
		return status.Error(codes.Unavailable, "cut")
	})
	time.Sleep(time.Second) // how often it tries in that time is what the test is about
	require.Less(t, streams.Load(), int32(40))
	require.Greater(t, streams.Load(), int32(1))
}
