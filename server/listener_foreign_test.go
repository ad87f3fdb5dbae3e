package server_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
)

// Others cannot tell a listener from none.
func TestForeignListener(t *testing.T) {
	t.Parallel()
	w := plainListener(t, nil)
	other := servertest.As(t.Context(), "other")
	id := w.l.GetListenerId()
	_, err := w.lc.GetListener(other, &pb.GetListenerRequest{ListenerId: id})
	require.Equal(t, "LISTENER_NOT_FOUND", reasonOf(t, err))
	_, err = w.lc.CloseListener(other, &pb.CloseListenerRequest{ListenerId: id})
	require.Equal(t, "LISTENER_NOT_FOUND", reasonOf(t, err))
	stream, err := w.lc.Accept(other, &pb.AcceptRequest{ListenerId: id})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.Equal(t, "LISTENER_NOT_FOUND", reasonOf(t, err))
	list, err := w.lc.ListListeners(other, &pb.ListListenersRequest{})
	require.NoError(t, err)
	require.Empty(t, list.GetListeners())

	a := w.accept(0)
	w.dialPlain()
	got := a.next()
	require.Equal(t, servertest.DefaultPrincipal, got.GetSession().GetOwner())
	_, err = w.c.GetSession(other, &pb.GetSessionRequest{SessionId: got.GetSession().GetSessionId()})
	require.Equal(t, "SESSION_NOT_FOUND", reasonOf(t, err))
	_, err = w.lc.Listen(servertest.As(t.Context(), servertest.Nobody), &pb.ListenRequest{Address: "127.0.0.1"})
	require.Equal(t, "UNAUTHENTICATED", reasonOf(t, err))
	nobody, err := w.lc.Accept(servertest.As(t.Context(), servertest.Nobody), &pb.AcceptRequest{ListenerId: id})
	require.NoError(t, err)
	_, err = nobody.Recv()
	require.Equal(t, "UNAUTHENTICATED", reasonOf(t, err))
	w.nothingMore(a)
}
