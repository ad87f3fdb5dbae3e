package server_test

import (
	"crypto/tls"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
)

func finishFrame(generation, offset int64) *pb.AttachRequest {
	return &pb.AttachRequest{Frame: &pb.AttachRequest_Finish{Finish: &pb.Finish{Generation: generation, Offset: offset}}}
}

func TestFirstFrames(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	c := servertest.Start(t).Client(t)
	host, port := hostPort(t, addr)
	s := newIdle(t.Context(), t, c, ca)
	for name, first := range map[string]*pb.AttachRequest{
		"data":                        dataFrame(1, 0, "x"),
		"finish":                      finishFrame(1, 0),
		"close":                       closeFrame(pb.CloseSocket_HOW_ABORT),
		"empty":                       {},
		"unknown frame":               withUnknown(&pb.AttachRequest{}),
		"unknown beside the frame":    withUnknown(openFrame(&pb.Open{Host: host, Port: port})),
		"unknown in open":             openFrame(withUnknown(&pb.Open{Host: host, Port: port})),
		"unknown in settings.tls":     openFrame(&pb.Open{Host: host, Port: port, Settings: &pb.SessionSettings{Tls: withUnknown(&pb.TlsSettings{})}}),
		"unknown in a certificate":    openFrame(&pb.Open{Host: host, Port: port, Certificates: []*pb.ExtraCertificate{{Certificate: ca.DER()}, withUnknown(&pb.ExtraCertificate{Certificate: ca.DER()})}}),
		"unknown in attach":           attachFrame(withUnknown(&pb.AttachSession{SessionId: s.id, AttachSeq: 1})),
		"unknown number of an enum":   openFrame(&pb.Open{Host: host, Port: port, Settings: &pb.SessionSettings{Tls: &pb.TlsSettings{MinVersion: 99}}}),
		"unknown number, not of ours": openFrame(&pb.Open{Host: host, Port: port, Settings: &pb.SessionSettings{Tls: &pb.TlsSettings{Trust: &pb.TrustSettings{Base: -1}}}}),
		"more than 256 KiB":           openFrame(&pb.Open{Host: host, Port: port, Certificates: []*pb.ExtraCertificate{{Certificate: make([]byte, 256<<10)}}}),
	} {
		err := start(t.Context(), t, c, first).end()
		reason, metadata := infoOf(t, err)
		require.Equal(t, "STREAM_GRAMMAR", reason, name)
		require.Equal(t, codes.InvalidArgument, status.Code(err), name)
		require.Equal(t, "1", metadata["frame_number"], name)
	}
	stream, err := c.Attach(t.Context())
	require.NoError(t, err)
	require.NoError(t, stream.CloseSend())
	_, err = stream.Recv()
	require.Equal(t, "STREAM_GRAMMAR", reasonOf(t, err), "no frame at all")
	require.Equal(t, "INVALID_FIELD", reasonOf(t, start(t.Context(), t, c, attachFrame(&pb.AttachSession{})).end()), "an ID is required")
	list, err := c.ListSessions(t.Context(), &pb.ListSessionsRequest{})
	require.NoError(t, err)
	require.Len(t, list.GetSessions(), 1)
	stillWorks(t.Context(), t, c, s, addr)
}

// The peer sends all the time, so that the end of the stream meets its sender
// at work.
func TestFramesThatEndTheStreamButNotTheSocket(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		frame  *pb.AttachRequest
		reason string
	}{
		"second open":         {openFrame(&pb.Open{Host: "127.0.0.1", Port: 1}), "STREAM_GRAMMAR"},
		"an attach":           {attachFrame(&pb.AttachSession{SessionId: "x"}), "STREAM_GRAMMAR"},
		"empty":               {&pb.AttachRequest{}, "STREAM_GRAMMAR"},
		"unknown frame":       {withUnknown(&pb.AttachRequest{}), "STREAM_GRAMMAR"},
		"unknown in data":     {&pb.AttachRequest{Frame: &pb.AttachRequest_Data{Data: withUnknown(&pb.Data{Generation: 1, Payload: []byte("x")})}}, "STREAM_GRAMMAR"},
		"unknown beside data": {withUnknown(dataFrame(1, 0, "x")), "STREAM_GRAMMAR"},
		"unknown how":         {closeFrame(99), "STREAM_GRAMMAR"},
		"a gap":               {dataFrame(1, 5, "x"), "OFFSET_MISMATCH"},
		"finish beyond":       {finishFrame(1, 5), "OFFSET_MISMATCH"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, ca := scriptedPeer(t, func(conn *tls.Conn) {
				done := make(chan struct{})
				go func() {
					defer close(done)
					for _, err := conn.Write([]byte("tick")); err == nil; {
						_, err = conn.Write([]byte("tick"))
					}
				}()
				_, _ = io.Copy(io.Discard, conn)
				_ = conn.Close()
				<-done
			})
			c := servertest.Start(t).Client(t)
			k := open(t, c, addr, ca)
			k.until(func() bool { return len(k.data) > 0 })
			k.send(tc.frame)
			err := k.end()
			reason, metadata := infoOf(t, err)
			require.Equal(t, tc.reason, reason)
			if reason == "STREAM_GRAMMAR" {
				require.Equal(t, "2", metadata["frame_number"])
			}
			require.Nil(t, k.detached, "nothing has taken the session")

			s := idle{k.attached.GetSession().GetSessionId(), k.attached.GetResumeToken()}
			again := attach(t.Context(), t, c, s, 2)
			require.Equal(t, pb.State_STATE_ENCRYPTED, again.attached.GetSession().GetState())
			require.Zero(t, again.attached.GetAcceptedOffset())
			again.until(func() bool { return len(again.data) > 0 })
			again.write([]byte("goes on"))
			again.until(func() bool { return again.progress.GetWrittenOffset() == 7 })
			again.send(closeFrame(pb.CloseSocket_HOW_ABORT))
			again.closed()
		})
	}
}

func TestRefusedFramesDoNoHarm(t *testing.T) {
	t.Parallel()
	l := make(listener, 1)
	addr, ca := scriptedPeer(t, l.handle)
	c := servertest.Start(t).Client(t)
	k := open(t, c, addr, ca, keepSession)
	k.secure()
	k.write([]byte("hello")) // frame 2
	frame := int64(2)
	offset := func(how pb.CloseSocket_How, n int64) *pb.AttachRequest {
		return &pb.AttachRequest{Frame: &pb.AttachRequest_Close{Close: &pb.CloseSocket{How: how, SendOffset: &n}}}
	}
	refused := func(m *pb.AttachRequest, reason pb.ErrorReason) {
		t.Helper()
		k.send(m)
		frame++
		n := len(k.refused)
		k.until(func() bool { return len(k.refused) > n })
		require.Equal(t, reason, k.refused[n].GetFailure().GetReason(), "%v", k.refused[n])
		require.Equal(t, frame, k.refused[n].GetFrameNumber())
	}
	const invalid, mismatch, state = pb.ErrorReason_ERROR_REASON_INVALID_FIELD, pb.ErrorReason_ERROR_REASON_OFFSET_MISMATCH, pb.ErrorReason_ERROR_REASON_SESSION_STATE
	refused(dataFrame(1, 5, ""), invalid)
	refused(dataFrame(1, 5, string(make([]byte, 128<<10+1))), invalid)
	refused(dataFrame(1, 5, string(make([]byte, 300<<10))), invalid)
	refused(dataFrame(1, -1, "x"), invalid)
	refused(dataFrame(-1, 5, "x"), invalid)
	refused(dataFrame(1, 1<<53, "x"), invalid)
	refused(finishFrame(1, 4), mismatch)
	refused(finishFrame(1, -1), invalid)
	refused(offset(pb.CloseSocket_HOW_WRITE_HALF, 4), mismatch)
	refused(offset(pb.CloseSocket_HOW_GRACEFUL, 4), mismatch)
	refused(offset(pb.CloseSocket_HOW_GRACEFUL, -1), invalid)
	refused(offset(pb.CloseSocket_HOW_ABORT, 5), invalid)
	refused(&pb.AttachRequest{Frame: &pb.AttachRequest_Close{Close: &pb.CloseSocket{Generation: 7}}}, state)
	n := len(k.refused)
	// These are dropped or trimmed, and not refused.
	for _, m := range []*pb.AttachRequest{
		dataFrame(7, 5, "another generation"), finishFrame(7, 5), dataFrame(1, 0, "hello"), dataFrame(1, 3, "lo, "), dataFrame(1, 7, "world"),
	} {
		k.send(m)
		frame++
	}
	k.until(func() bool { return string(k.data) == "hello, world" })
	require.Len(t, k.refused, n)
	k.send(finishFrame(1, 12))
	k.send(finishFrame(1, 12)) // once more is the same
	frame += 2
	refused(dataFrame(1, 12, "after finish"), state)
	refused(dataFrame(1, 15, "after finish, and a gap"), state)
	refused(finishFrame(1, 13), state)
	require.NoError(t, k.stream.CloseSend())
	require.NoError(t, k.end())
	h := l.wait(t)
	require.NoError(t, h.err)
	require.Equal(t, "hello, world", string(h.data))
}

func TestFramesWithoutAConnection(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	c := servertest.Start(t).Client(t)
	s := newIdle(t.Context(), t, c, ca)
	k := attach(t.Context(), t, c, s, 0)
	for _, m := range []*pb.AttachRequest{dataFrame(0, 0, "x"), finishFrame(0, 0), closeFrame(pb.CloseSocket_HOW_GRACEFUL)} {
		k.send(m)
	}
	k.until(func() bool { return len(k.refused) == 3 })
	for _, r := range k.refused {
		require.Equal(t, pb.ErrorReason_ERROR_REASON_SESSION_STATE, r.GetFailure().GetReason())
	}
	_, err := c.Close(t.Context(), &pb.CloseRequest{SessionId: s.id})
	require.Equal(t, "SESSION_STATE", reasonOf(t, err))
	stillWorks(t.Context(), t, c, s, addr)
}
