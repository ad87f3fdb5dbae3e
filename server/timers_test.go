package server_test

import (
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/session"
)

// A timer that is still set holds its session: one that is collected has none.
func TestNoTimerHoldsADeletedSession(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	host, port := hostPort(t, addr)
	svc := servertest.Start(t)
	c := svc.Client(t)
	id := trusting(t, c, ca.DER()).GetSession().GetSessionId()
	_, err := c.Connect(t.Context(), &pb.ConnectRequest{SessionId: id, Host: host, Port: port, RequestId: "1"})
	require.NoError(t, err)
	_, err = c.Close(t.Context(), &pb.CloseRequest{SessionId: id})
	require.NoError(t, err)
	held := func() weak.Pointer[session.Session] {
		s, err := svc.Registry.Get(servertest.DefaultPrincipal, id)
		require.NoError(t, err)
		return weak.Make(s)
	}()
	require.NotNil(t, held.Value())
	_, err = c.DeleteSession(t.Context(), &pb.DeleteSessionRequest{SessionId: id})
	require.NoError(t, err)
	require.Eventually(t, func() bool { runtime.GC(); return held.Value() == nil }, patience, 10*time.Millisecond)
}
