package server_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/session"
)

// A caller's own limit comes first, and leaves room for the others.
func TestLimitOfSessionsEachAndTogether(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	svc := servertest.Start(t, limited(func(sc *session.Config) { sc.MaxSessions, sc.MaxSessionsPerOwner = 3, 2 })...)
	c := svc.Client(t)
	other := servertest.As(t.Context(), "other")
	k := open(t, c, addr, ca, keepSession)
	k.secure()
	create(t, c)
	for range 5 {
		_, err := c.CreateSession(t.Context(), &pb.CreateSessionRequest{})
		requireLimit(t, err, "sessions of a caller", "2", false)
		host, port := hostPort(t, addr)
		requireLimit(t, start(t.Context(), t, c, openFrame(&pb.Open{Host: host, Port: port})).end(), "sessions of a caller", "2", false)
	}
	mine, err := c.CreateSession(other, &pb.CreateSessionRequest{})
	require.NoError(t, err, "what was refused took nothing")
	_, err = c.CreateSession(other, &pb.CreateSessionRequest{})
	requireLimit(t, err, "sessions", "3", false)
	k.write([]byte("unharmed"))
	k.until(func() bool { return string(k.data) == "unharmed" })

	_, err = c.DeleteSession(t.Context(), &pb.DeleteSessionRequest{SessionId: k.attached.GetSession().GetSessionId()})
	require.NoError(t, err)
	_, err = c.CreateSession(other, &pb.CreateSessionRequest{})
	require.NoError(t, err, "what was given back is anybody's")
	_, err = c.DeleteSession(other, &pb.DeleteSessionRequest{SessionId: mine.GetSession().GetSessionId()})
	require.NoError(t, err)
	require.Equal(t, 2, svc.Registry.Stats().Sessions)
	givenBack(t, svc)
}

// A request that comes again is no further session.
func TestLimitOfSessionsAndRetries(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t, limited(func(sc *session.Config) { sc.MaxSessionsPerOwner = 1 })...).Client(t)
	first, err := c.CreateSession(t.Context(), &pb.CreateSessionRequest{RequestId: "a"})
	require.NoError(t, err)
	again, err := c.CreateSession(t.Context(), &pb.CreateSessionRequest{RequestId: "a"})
	require.NoError(t, err)
	require.Equal(t, first.GetSession().GetSessionId(), again.GetSession().GetSessionId())
	_, err = c.CreateSession(t.Context(), &pb.CreateSessionRequest{RequestId: "b"})
	requireLimit(t, err, "sessions of a caller", "1", false)
	_, err = c.DeleteSession(t.Context(), &pb.DeleteSessionRequest{SessionId: first.GetSession().GetSessionId()})
	require.NoError(t, err)
	_, err = c.CreateSession(t.Context(), &pb.CreateSessionRequest{RequestId: "b"})
	require.NoError(t, err, "a refusal is not what a request is remembered for")
}

// Callers who take all that they may leave some to those who come after them.
func TestLimitOfSessionsLeavesRoomForNewcomers(t *testing.T) {
	t.Parallel()
	svc := servertest.Start(t, limited(func(sc *session.Config) { sc.MaxSessions, sc.MaxSessionsPerOwner = 32, 16 })...)
	c := svc.Client(t)
	creates := func(owner, what, limit string) (ids []string) {
		t.Helper()
		for {
			s, err := c.CreateSession(servertest.As(t.Context(), owner), &pb.CreateSessionRequest{})
			if err != nil {
				requireLimit(t, err, what, limit, false)
				return ids
			}
			ids = append(ids, s.GetSession().GetSessionId())
		}
	}
	anna := creates("anna", "sessions of a caller", "16")
	require.Len(t, anna, 16)
	require.Len(t, creates("bert", "sessions", "30"), 14)
	require.Len(t, creates("cleo", "sessions", "30"), 1)
	require.Len(t, creates("dora", "sessions", "30"), 1)
	require.Empty(t, creates("emil", "sessions", "32"))
	for _, id := range anna[:3] {
		_, err := c.DeleteSession(servertest.As(t.Context(), "anna"), &pb.DeleteSessionRequest{SessionId: id})
		require.NoError(t, err)
	}
	require.Len(t, creates("bert", "sessions", "30"), 1, "it is not kept")
	require.Len(t, creates("emil", "sessions", "30"), 1)
	require.Equal(t, 31, svc.Registry.Stats().Sessions)
}
