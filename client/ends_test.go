package client_test

import (
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
)

const greeting = "all that was sent before"

// dialScript connects to a peer that has sent greeting and then does what rest says.
func dialScript(t *testing.T, rest func(*fakeStream) error) *client.Conn {
	t.Helper()
	c, _ := startFake(t, func(s *fakeStream) error {
		s.secure(nil, nil, "")
		s.data([]byte(greeting))
		return rest(s)
	})
	conn, err := c.DialContext(t.Context(), "tcp", "example.com:443")
	require.NoError(t, err)
	t.Cleanup(conn.Abort)
	return conn
}

// readEnd reads all of conn, requires that greeting came first, and returns the error, which comes again and again.
func readEnd(t *testing.T, conn *client.Conn) error {
	t.Helper()
	got := make([]byte, len(greeting))
	_, err := io.ReadFull(conn, got)
	require.NoError(t, err)
	require.Equal(t, greeting, string(got))
	n, err := conn.Read(got)
	require.Zero(t, n)
	_, again := conn.Read(got)
	require.Equal(t, err, again)
	return err
}

// writeEnd writes until it fails, which it must.
func writeEnd(t *testing.T, conn *client.Conn) error {
	t.Helper()
	require.NoError(t, conn.SetWriteDeadline(time.Now().Add(10*time.Second)))
	for {
		if _, err := conn.Write(make([]byte, 1000)); err != nil {
			require.NotEqual(t, os.ErrDeadlineExceeded, err)
			return err
		}
	}
}

func TestTruncationIsNoEOF(t *testing.T) {
	t.Parallel()
	for _, cause := range []pb.CloseCause{pb.CloseCause_CLOSE_CAUSE_PEER_TRUNCATED, pb.CloseCause_CLOSE_CAUSE_PEER_TRUNCATED_RECORD} {
		for name, rest := range map[string]func(*fakeStream) error{
			"with its failure": func(s *fakeStream) error {
				failure := s.ioError(pb.Phase_PHASE_DATA, codes.Unavailable, pb.ErrorReason_ERROR_REASON_PEER_TRUNCATED)
				s.remoteClosed(cause)
				s.closed(&pb.Closed{Cause: cause, ReadCause: cause, Failure: failure})
				return nil
			},
			"closed alone": func(s *fakeStream) error {
				s.closed(&pb.Closed{Cause: cause, ReadCause: cause, WriteCause: cause})
				return nil
			},
		} {
			t.Run(cause.String()+" "+name, func(t *testing.T) {
				t.Parallel()
				conn := dialScript(t, rest)
				err := readEnd(t, conn)
				requireError(t, err, pb.ErrorReason_ERROR_REASON_PEER_TRUNCATED)
				require.ErrorIs(t, err, io.ErrUnexpectedEOF)
				require.NotErrorIs(t, err, io.EOF)
				requireError(t, writeEnd(t, conn), pb.ErrorReason_ERROR_REASON_PEER_TRUNCATED)
			})
		}
	}
}

func TestCloseNotifyLeavesTheWritingHalf(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	conn := dialScript(t, func(s *fakeStream) error {
		s.remoteClosed(pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY)
		request, err := s.Recv()
		got <- string(request.GetData().GetPayload())
		if err == nil {
			request, err = s.Recv()
		}
		if err != nil || request.GetFinish().GetOffset() != 4 {
			return status.Error(codes.Internal, "no finish")
		}
		s.written.Store(4)
		s.closed(&pb.Closed{
			Cause:      pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY,
			ReadCause:  pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY,
			WriteCause: pb.CloseCause_CLOSE_CAUSE_LOCAL,
		})
		return nil
	})
	require.Equal(t, io.EOF, readEnd(t, conn))
	_, err := conn.Write([]byte("late"))
	require.NoError(t, err)
	require.Equal(t, "late", <-got)
	require.NoError(t, conn.CloseWrite())
	require.NoError(t, conn.CloseWrite())
	_, err = conn.Write([]byte("too late"))
	require.ErrorIs(t, err, syscall.EPIPE)
	require.NotErrorIs(t, err, net.ErrClosed)
	require.NoError(t, conn.Close())
}

func TestPeerReset(t *testing.T) {
	t.Parallel()
	c, _ := startFake(t, proxy())
	conn, peer := newPipe(t, c)
	require.NoError(t, peer.SetLinger(0))
	require.NoError(t, peer.Close())
	_, err := conn.Read(make([]byte, 1))
	requireError(t, err, pb.ErrorReason_ERROR_REASON_PEER_RESET)
	require.ErrorIs(t, err, syscall.ECONNRESET)
	require.ErrorIs(t, writeEnd(t, conn), syscall.ECONNRESET)
}

// TestResetAfterCloseNotify: the first end of a half stands.
func TestResetAfterCloseNotify(t *testing.T) {
	t.Parallel()
	conn := dialScript(t, func(s *fakeStream) error {
		s.remoteClosed(pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY)
		s.failed(pb.Phase_PHASE_DATA, codes.Unavailable, pb.ErrorReason_ERROR_REASON_PEER_RESET)
		return nil
	})
	require.Equal(t, io.EOF, readEnd(t, conn))
	require.ErrorIs(t, writeEnd(t, conn), syscall.ECONNRESET)
}

func TestEndsWithoutAFailure(t *testing.T) {
	t.Parallel()
	for cause, target := range map[pb.CloseCause]error{
		pb.CloseCause_CLOSE_CAUSE_IDLE_TIMEOUT:    os.ErrDeadlineExceeded,
		pb.CloseCause_CLOSE_CAUSE_NETWORK_TIMEOUT: os.ErrDeadlineExceeded,
		pb.CloseCause_CLOSE_CAUSE_DELETED:         net.ErrClosed,
		pb.CloseCause_CLOSE_CAUSE_LOCAL:           net.ErrClosed,
		pb.CloseCause_CLOSE_CAUSE_PEER_RESET:      syscall.ECONNRESET,
		pb.CloseCause_CLOSE_CAUSE_DRAIN:           nil,
		pb.CloseCause_CLOSE_CAUSE_ERROR:           nil,
		pb.CloseCause(1000):                       nil,
	} {
		t.Run(cause.String(), func(t *testing.T) {
			t.Parallel()
			conn := dialScript(t, func(s *fakeStream) error {
				s.closed(&pb.Closed{Cause: cause})
				return nil
			})
			err := readEnd(t, conn)
			require.NotErrorIs(t, err, io.EOF)
			require.IsType(t, new(client.Error), err)
			require.IsType(t, new(client.Error), writeEnd(t, conn))
			if target != nil {
				require.ErrorIs(t, err, target)
			}
		})
	}
}

// TestServiceGone cuts the way to the service: Read and Write that wait return, and nothing hangs.
func TestServiceGone(t *testing.T) {
	t.Parallel()
	c, f := startFake(t, func(s *fakeStream) error {
		s.secure(nil, nil, "")
		<-s.Context().Done()
		return nil
	})
	conn, err := c.DialContext(t.Context(), "tcp", "example.com:443")
	require.NoError(t, err)
	_, err = conn.Write([]byte("x")) // which Close will tell of
	require.NoError(t, err)
	read := make(chan error, 1)
	go func() {
		_, err := conn.Read(make([]byte, 1))
		read <- err
	}()
	written := make(chan error, 1)
	go func() { written <- writeEnd(t, conn) }()
	f.server.Stop()
	for _, err := range []error{<-read, <-written} {
		e := requireError(t, err, pb.ErrorReason_ERROR_REASON_UNSPECIFIED)
		require.Equal(t, codes.Unavailable, e.Code)
	}
	requireError(t, conn.Close(), pb.ErrorReason_ERROR_REASON_UNSPECIFIED)
}

// TestServiceGoneWhileUnread: the receive goroutine has stopped receiving, and yet Write learns that the stream is over.
func TestServiceGoneWhileUnread(t *testing.T) {
	t.Parallel()
	full := make(chan struct{})
	c, f := startFake(t, func(s *fakeStream) error {
		s.secure(nil, nil, "")
		s.data(make([]byte, 1<<20))
		close(full)
		<-s.Context().Done()
		return nil
	})
	conn, err := c.DialContext(t.Context(), "tcp", "example.com:443")
	require.NoError(t, err)
	<-full
	f.server.Stop()
	requireError(t, writeEnd(t, conn), pb.ErrorReason_ERROR_REASON_UNSPECIFIED)
	conn.Abort()
}

func TestStreamEndsWithoutClosed(t *testing.T) {
	t.Parallel()
	conn := dialScript(t, func(*fakeStream) error { return nil })
	e := requireError(t, readEnd(t, conn), pb.ErrorReason_ERROR_REASON_UNSPECIFIED)
	require.Equal(t, codes.Unavailable, e.Code)
}

func TestSuperseded(t *testing.T) {
	t.Parallel()
	for name, detached := range map[string]bool{"detached and status": true, "status alone": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := dialScript(t, func(s *fakeStream) error {
				if detached {
					s.frame(&pb.AttachResponse{Frame: &pb.AttachResponse_Detached{Detached: &pb.Detached{
						Failure: &pb.Failure{Code: int32(codes.Aborted), Reason: pb.ErrorReason_ERROR_REASON_SUPERSEDED},
					}}})
				}
				st, err := status.New(codes.Aborted, "another stream has it").WithDetails(&errdetails.ErrorInfo{
					Domain: "securesocket.v1", Reason: "SUPERSEDED", Metadata: map[string]string{"attach_seq": "2"},
				})
				if err != nil {
					return err
				}
				return st.Err()
			})
			e := requireError(t, readEnd(t, conn), pb.ErrorReason_ERROR_REASON_SUPERSEDED)
			require.Equal(t, codes.Aborted, e.Code)
			requireError(t, writeEnd(t, conn), pb.ErrorReason_ERROR_REASON_SUPERSEDED)
		})
	}
}

// refuse answers the caller's next frame, which is number n, with a refusal.
func refuse(s *fakeStream, n int64) {
	_, _ = s.Recv()
	s.frame(&pb.AttachResponse{Frame: &pb.AttachResponse_Refused{Refused: &pb.Refused{
		FrameNumber: n, Failure: &pb.Failure{Code: int32(codes.FailedPrecondition), Reason: pb.ErrorReason_ERROR_REASON_SESSION_STATE},
	}}})
}

// TestRefusedData: bytes that were refused are lost, so the writing half is broken; the reading half is not.
func TestRefusedData(t *testing.T) {
	t.Parallel()
	conn := dialScript(t, func(s *fakeStream) error {
		refuse(s, 2)
		for {
			if request, err := s.Recv(); err != nil || request.GetClose() != nil {
				break
			}
		}
		s.closed(&pb.Closed{Cause: pb.CloseCause_CLOSE_CAUSE_LOCAL})
		return nil
	})
	err := writeEnd(t, conn)
	requireError(t, err, pb.ErrorReason_ERROR_REASON_SESSION_STATE)
	require.ErrorIs(t, err, syscall.EPIPE)
	_, err = io.ReadFull(conn, make([]byte, len(greeting)))
	require.NoError(t, err)
	requireError(t, conn.Close(), pb.ErrorReason_ERROR_REASON_CANCELLED)
}

// TestRefusedAtTheEnd: a refusal that overtakes the end of the connection does not hide how it ended.
func TestRefusedAtTheEnd(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	conn := dialScript(t, func(s *fakeStream) error {
		refuse(s, 2)
		<-goOn
		s.failed(pb.Phase_PHASE_DATA, codes.Unavailable, pb.ErrorReason_ERROR_REASON_PEER_RESET)
		return nil
	})
	require.ErrorIs(t, writeEnd(t, conn), syscall.EPIPE)
	close(goOn)
	require.ErrorIs(t, readEnd(t, conn), syscall.ECONNRESET)
	require.ErrorIs(t, writeEnd(t, conn), syscall.ECONNRESET)
}

// TestRefusedClose: the socket had ended already.
func TestRefusedClose(t *testing.T) {
	t.Parallel()
	conn := dialScript(t, func(s *fakeStream) error {
		refuse(s, 2)
		s.closed(&pb.Closed{Cause: pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY})
		return nil
	})
	require.NoError(t, conn.Close())
}

// TestNewerService: kinds of events and frames that this package does not know are passed over.
func TestNewerService(t *testing.T) {
	t.Parallel()
	c, _ := startFake(t, func(s *fakeStream) error {
		unknownEvent := &pb.Event{}
		unknownEvent.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 99, protowire.BytesType), []byte("?")))
		unknownFrame := &pb.AttachResponse{}
		unknownFrame.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 99, protowire.BytesType), []byte("?")))
		s.frame(unknownFrame)
		s.event(unknownEvent)
		s.secure(nil, nil, "")
		s.event(unknownEvent)
		s.frame(unknownFrame)
		s.frame(&pb.AttachResponse{Frame: &pb.AttachResponse_OutputProgress{OutputProgress: &pb.OutputProgress{Generation: 1}}})
		s.data([]byte(greeting))
		s.remoteClosed(pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY)
		s.closed(&pb.Closed{Cause: pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY})
		return nil
	})
	d := client.Dialer{Client: c, OnEvent: func(e client.Event) {
		if e.Name() == "" {
			t.Error("an unknown event was delivered")
		}
	}}
	conn, err := d.Dial(t.Context(), "tcp", "example.com:443")
	require.NoError(t, err)
	require.Equal(t, io.EOF, readEnd(t, conn))
	require.NoError(t, conn.Close())
}

// TestEOFNeedsEveryByte: a close_notify after bytes that have not come is no io.EOF.
func TestEOFNeedsEveryByte(t *testing.T) {
	t.Parallel()
	conn := dialScript(t, func(s *fakeStream) error {
		s.offset++
		s.remoteClosed(pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY)
		s.closed(&pb.Closed{Cause: pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY})
		return nil
	})
	requireError(t, readEnd(t, conn), pb.ErrorReason_ERROR_REASON_INTERNAL)
}

// TestGapIsNotPassedOver: bytes that are missing never look like bytes that follow.
func TestGapIsNotPassedOver(t *testing.T) {
	t.Parallel()
	aborted := make(chan struct{})
	conn := dialScript(t, func(s *fakeStream) error {
		s.offset++
		s.data([]byte("after the gap"))
		<-s.Context().Done()
		close(aborted)
		return nil
	})
	requireError(t, readEnd(t, conn), pb.ErrorReason_ERROR_REASON_INTERNAL)
	<-aborted
}
