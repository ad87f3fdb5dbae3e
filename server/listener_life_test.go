package server_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
)

func TestCloseListener(t *testing.T) {
	t.Parallel()
	for name, world := range eitherListener {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := world(t, nil)
			dial := func() net.Conn {
				if w.ca != nil {
					return w.dial()
				}
				return w.dialPlain()
			}
			a := w.accept(2)
			claimed := dial()
			k := w.attach(a.next())
			given := dial()
			a.next()
			arriving := w.dialPlain()
			w.pending(2)
			w.close()
			more, err := a.rest()
			require.NoError(t, err)
			require.LessOrEqual(t, len(more), 1)
			closedByService(t, given)
			closedByService(t, arriving)
			w.talks(claimed, k)
			require.Len(t, w.sessions(), 1)
			require.Equal(t, w.l.GetListenerId(), w.sessions()[0].GetListenerId())

			_, err = w.lc.CloseListener(t.Context(), &pb.CloseListenerRequest{ListenerId: w.l.GetListenerId()})
			require.Equal(t, "LISTENER_NOT_FOUND", reasonOf(t, err))
			_, err = w.lc.GetListener(t.Context(), &pb.GetListenerRequest{ListenerId: w.l.GetListenerId()})
			require.Equal(t, "LISTENER_NOT_FOUND", reasonOf(t, err))
			_, err = w.accept(0).rest()
			require.Equal(t, "LISTENER_NOT_FOUND", reasonOf(t, err))
			port := w.l.GetLocal().GetPort()
			w.l = w.listen(func(m *pb.ListenRequest) { m.Port = port }) // it is free
			require.Equal(t, port, w.l.GetLocal().GetPort())
			w.talks(claimed, k)
		})
	}
}

// Nobody accepts: the listener goes, with what waits.
func TestListenerOfNobody(t *testing.T) {
	t.Parallel()
	w := plainListener(t, nil, shortGrace)
	early := w.dialPlain()
	w.pending(1)
	closedByService(t, early)
	w.gone()
	w.refusing()
	w.empty()

	// As long as somebody accepts, it stays; the grace begins when he leaves.
	w.l = w.listen(shortGrace)
	a := w.accept(0)
	peer := w.dialPlain()
	k := w.attach(a.next())
	other := w.listen(shortGrace)
	mine := w.l
	w.l = other
	w.gone() // which is as old
	w.l = mine
	w.look()
	a.cancel()
	_, err := a.rest()
	require.Equal(t, codes.Canceled, status.Code(err))
	w.gone()
	w.talks(peer, k)
}

// Beyond the backlog connections wait in the kernel, and are served later.
func TestBacklog(t *testing.T) {
	t.Parallel()
	const peers = 10
	w := plainListener(t, nil, backlog(1))
	byPort := make(map[int32]net.Conn)
	for range peers {
		peer := w.dialPlain()
		byPort[portOf(peer)] = peer
	}
	w.pending(1)
	require.EqualValues(t, 1, w.look().GetAcceptedCount())
	a := w.accept(1)
	for range peers {
		got := a.next()
		require.LessOrEqual(t, w.look().GetPendingCount(), int32(2), "one is given out, and one waits")
		k := w.attach(got)
		w.talks(byPort[got.GetSession().GetRemote().GetPort()], k)
	}
	require.EqualValues(t, peers, w.look().GetAcceptedCount())
	w.nothingMore(a)
}

// Whoever connects and says nothing has a place for handshake_timeout, and others
// are served beside him.
func TestSlowHandshakes(t *testing.T) {
	t.Parallel()
	w := secureListener(t, nil, backlog(3), settling(func(s *pb.SessionSettings) {
		s.Tls.HandshakeTimeout = durationpb.New(time.Second)
	}))
	a := w.accept(0)
	var silent []net.Conn
	for range 2 {
		silent = append(silent, w.dialPlain())
	}
	w.until(all(2, pb.State_STATE_HANDSHAKING))
	for range 3 {
		w.talks(w.dial(), w.attach(a.next()))
	}
	require.EqualValues(t, 2, w.look().GetPendingCount())
	for range 2 { // the places are all taken, for a while
		silent = append(silent, w.dialPlain())
	}
	w.talks(w.dial(), w.attach(a.next()))
	for _, conn := range silent {
		closedByService(t, conn)
	}
	w.pending(0)
	w.until(all(4, pb.State_STATE_ENCRYPTED))
	w.nothingMore(a)
}

// The caller of Listen may go: the listener is not his call's.
func TestListenOutlivesItsCall(t *testing.T) {
	t.Parallel()
	w := plainListener(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	resp, err := w.lc.Listen(ctx, &pb.ListenRequest{Address: "::1"})
	cancel()
	if err != nil {
		require.Equal(t, "ADDRESS_UNAVAILABLE", reasonOf(t, err), "a machine without IPv6")
		return
	}
	w.l = resp.GetListener()
	require.Equal(t, "::1", w.l.GetLocal().GetAddress())
	a := w.accept(0)
	peer := w.dialPlain()
	k := w.attach(a.next())
	require.Equal(t, "::1", k.attached.GetSession().GetRemote().GetAddress())
	w.talks(peer, k)
	k.finish()
	_, err = io.ReadAll(peer)
	require.NoError(t, err)
	w.nothingMore(a)
}

// All addresses of one family are none of the other.
func TestListenEverywhere(t *testing.T) {
	t.Parallel()
	w := plainListener(t, []servertest.Option{servertest.AllowListening(t, "0.0.0.0", "::")}, func(m *pb.ListenRequest) { m.Address = "0.0.0.0" })
	require.Equal(t, "0.0.0.0", w.l.GetLocal().GetAddress())
	port := w.l.GetLocal().GetPort()
	a := w.accept(0)
	_, err := w.lc.Listen(t.Context(), &pb.ListenRequest{Address: "::", Port: port})
	if err != nil {
		require.Equal(t, "ADDRESS_UNAVAILABLE", reasonOf(t, err), "a machine without IPv6")
	}
	w.l.Local.Address = "127.0.0.1"
	peer := w.dialPlain()
	k := w.attach(a.next())
	require.Equal(t, "127.0.0.1", k.attached.GetSession().GetLocal().GetAddress(), "where the peer came to")
	w.talks(peer, k)
	w.nothingMore(a)
	w.refusing() // who listens at :: hears nothing of IPv4

	w.l = w.listen(func(m *pb.ListenRequest) { m.Address = "::ffff:127.0.0.1" })
	require.Equal(t, "127.0.0.1", w.l.GetLocal().GetAddress())
}
