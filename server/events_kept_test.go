package server_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
)

// trusting makes a session that trusts the CA of a test server.
func trusting(tb testing.TB, c pb.SecureSocketServiceClient, der []byte) *pb.CreateSessionResponse {
	tb.Helper()
	resp, err := c.CreateSession(tb.Context(), &pb.CreateSessionRequest{})
	require.NoError(tb, err)
	_, err = c.AddCertificate(tb.Context(), &pb.AddCertificateRequest{
		SessionId: resp.GetSession().GetSessionId(), Certificate: der, Trusted: true,
	})
	require.NoError(tb, err)
	return resp
}

func TestLateReaderIsToldWhatWasDropped(t *testing.T) {
	t.Parallel()
	const connects = 10 // of 10 events each: more than are kept
	addr, ca := echoServer(t)
	host, port := hostPort(t, addr)
	c := servertest.Start(t).Client(t)
	made := trusting(t, c, ca.DER())
	id := made.GetSession().GetSessionId()
	for range connects {
		_, err := c.Connect(t.Context(), &pb.ConnectRequest{SessionId: id, Host: host, Port: port})
		require.NoError(t, err)
	}
	_, err := c.Close(t.Context(), &pb.CloseRequest{SessionId: id, Close: &pb.CloseSocket{How: pb.CloseSocket_HOW_ABORT}})
	require.NoError(t, err)

	k := start(t.Context(), t, c, attachFrame(&pb.AttachSession{SessionId: id, AttachSeq: 1}))
	require.NoError(t, k.stream.CloseSend())
	require.NoError(t, k.end())
	require.LessOrEqual(t, len(k.events), 2*64)
	var seen, dropped, ends, next int64 = 0, 0, 0, 1
	for _, e := range k.events {
		if d := e.GetEventsDropped(); d != nil {
			require.Equal(t, next, d.GetFirstSeq())
			require.Equal(t, d.GetLastSeq()-d.GetFirstSeq()+1, d.GetCount())
			require.Equal(t, d.GetLastSeq(), e.GetSeq())
			dropped += d.GetCount()
			next = d.GetLastSeq() + 1
			continue
		}
		require.Equal(t, next, e.GetSeq(), "no gap and no double")
		next++
		seen++
		if e.GetClosed() != nil {
			ends++
		}
	}
	require.Positive(t, dropped)
	require.LessOrEqual(t, seen, int64(64))
	require.EqualValues(t, connects, ends, "a terminal event is never dropped")

	// A reader that has them all is given none again.
	k = start(t.Context(), t, c, attachFrame(&pb.AttachSession{
		SessionId: id, AttachSeq: 2, ResumeToken: made.GetResumeToken(), ReceivedEventSeq: next - 1,
	}))
	require.NoError(t, k.stream.CloseSend())
	require.NoError(t, k.end())
	require.Empty(t, k.events)
}

func TestReaderThatAttachesAfterTheEndMissesNothing(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	host, port := hostPort(t, addr)
	c := servertest.Start(t).Client(t)
	id := trusting(t, c, ca.DER()).GetSession().GetSessionId()
	_, err := c.Connect(t.Context(), &pb.ConnectRequest{SessionId: id, Host: host, Port: port})
	require.NoError(t, err)
	_, err = c.Close(t.Context(), &pb.CloseRequest{SessionId: id})
	require.NoError(t, err)
	k := start(t.Context(), t, c, attachFrame(&pb.AttachSession{SessionId: id, AttachSeq: 1}))
	require.Equal(t, pb.CloseCause_CLOSE_CAUSE_LOCAL, k.closed().GetCause())
	require.Contains(t, k.kinds(), "secure_connected")
	require.EqualValues(t, 1, k.events[0].GetSeq())
}

func TestIdleSessionExpires(t *testing.T) {
	t.Parallel()
	svc := servertest.Start(t, func(c *session.Config, _ *server.Config) { c.SessionExpiry = 2 * time.Second })
	c := svc.Client(t)
	resp, err := c.CreateSession(t.Context(), &pb.CreateSessionRequest{})
	require.NoError(t, err)
	require.NotNil(t, resp.GetSession().GetExpireTime())
	// An attached one does not, though it is as old.
	held := create(t, c)
	k := start(t.Context(), t, c, attachFrame(&pb.AttachSession{SessionId: held, AttachSeq: 1}))
	k.until(func() bool { return k.attached != nil })
	require.Nil(t, k.attached.GetSession().GetExpireTime())
	require.Eventually(t, func() bool {
		list, err := c.ListSessions(t.Context(), &pb.ListSessionsRequest{})
		return err == nil && len(list.GetSessions()) == 1
	}, patience, 10*time.Millisecond)
	_, err = c.GetSession(t.Context(), &pb.GetSessionRequest{SessionId: resp.GetSession().GetSessionId()})
	require.Equal(t, nameOf(pb.ErrorReason_ERROR_REASON_SESSION_NOT_FOUND), reasonOf(t, err))
	got, err := c.GetSession(t.Context(), &pb.GetSessionRequest{SessionId: held})
	require.NoError(t, err)
	require.True(t, got.GetSession().GetAttached())
	// Once it is let go, it does.
	k.cancel()
	require.Eventually(t, func() bool {
		list, err := c.ListSessions(t.Context(), &pb.ListSessionsRequest{})
		return err == nil && len(list.GetSessions()) == 0
	}, patience, 10*time.Millisecond)
}
