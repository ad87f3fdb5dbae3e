package server_test

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "securesocket/gen/securesocket/v1"
)

// A reader that comes back is given again what waits, in its order.
func TestAcceptAgain(t *testing.T) {
	t.Parallel()
	w := plainListener(t, nil)
	for range 3 {
		w.dialPlain()
	}
	first := w.accept(0)
	ids := first.take(3)
	first.cancel()
	_, err := first.rest()
	require.Equal(t, codes.Canceled, status.Code(err))

	second := w.accept(1)
	require.Equal(t, ids, second.take(3), "those that were given out already need no credit")
	_, err = w.c.DeleteSession(t.Context(), &pb.DeleteSessionRequest{SessionId: ids[1]})
	require.NoError(t, err)

	third := w.accept(0)
	require.Equal(t, []string{ids[0], ids[2]}, third.take(2))
	_, err = second.rest()
	require.Equal(t, "SUPERSEDED", reasonOf(t, err))
	w.dialPlain()
	require.NotContains(t, ids, third.next().GetSession().GetSessionId())
	w.nothingMore(third)
}

// Readers that take turns quickly are each given each session once.
func TestAcceptsInShortOrder(t *testing.T) {
	t.Parallel()
	const peers, turns = 100, 50
	w := plainListener(t, nil)
	for range peers {
		w.dialPlain()
	}
	w.accept(peers).take(peers)
	lc := pb.NewListenerServiceClient(w.svc.Dial(t))
	var last *acceptance
	for range turns {
		last = w.acceptFrom(lc, peers)
		last.next()
	}
	last = w.accept(peers)
	ids := last.take(peers)
	seen := make(map[string]bool)
	for _, id := range ids {
		require.False(t, seen[id], "given out twice to one Accept")
		seen[id] = true
	}
	for _, id := range ids {
		_, err := w.c.DeleteSession(t.Context(), &pb.DeleteSessionRequest{SessionId: id})
		require.NoError(t, err)
	}
	w.pending(0)
	w.nothingMore(last)
}

// What is claimed while it is given out again is not in the way of the rest.
func TestClaimsWhileAcceptsTakeTurns(t *testing.T) {
	t.Parallel()
	const peers = 100
	w := plainListener(t, nil)
	for range peers {
		w.dialPlain()
	}
	ids := w.accept(peers).take(peers)
	lc := pb.NewListenerServiceClient(w.svc.Dial(t))
	var accepts []*acceptance
	for _, id := range ids {
		accepts = append(accepts, w.acceptFrom(lc, peers), w.acceptFrom(lc, peers))
		_, err := w.c.DeleteSession(t.Context(), &pb.DeleteSessionRequest{SessionId: id})
		require.NoError(t, err)
	}
	w.pending(0)
	w.close()
	for _, a := range accepts {
		if _, err := a.rest(); err != nil && status.Code(err) != codes.NotFound { // began too late
			require.Equal(t, "SUPERSEDED", reasonOf(t, err))
		}
	}
}

// What nobody claims in time is closed, and makes room.
func TestUnclaimedIsClosed(t *testing.T) {
	t.Parallel()
	w := plainListener(t, claimingSoon)
	peers := map[int32]net.Conn{}
	for range 2 {
		peer := w.dialPlain()
		peers[portOf(peer)] = peer
	}
	a := w.accept(1)
	lost, next := a.next().GetSession(), a.next() // which has room when the first is gone
	w.talks(peers[next.GetSession().GetRemote().GetPort()], w.attach(next))
	closedByService(t, peers[lost.GetRemote().GetPort()])
	_, err := w.c.GetSession(t.Context(), &pb.GetSessionRequest{SessionId: lost.GetSessionId()})
	require.Equal(t, "SESSION_NOT_FOUND", reasonOf(t, err))
	w.nothingMore(a)
}

// A clock that runs goes on when a reader leaves and comes back.
func TestClockOfAClaimGoesOn(t *testing.T) {
	t.Parallel()
	w := plainListener(t, claimingSoon)
	peer := w.dialPlain()
	a := w.accept(0)
	a.take(1)
	over := make(chan struct{})
	go func() {
		defer close(over)
		_, _ = peer.Read(make([]byte, 1))
	}()
	for done := false; !done; {
		select {
		case <-over:
			done = true
		case <-time.After(10 * time.Millisecond):
			w.accept(0) // each would begin the clock anew, if it could
		}
	}
	w.pending(0)
	last := w.accept(0)
	w.dialPlain()
	last.next()
	w.nothingMore(last)
}

// A stream that is attached before the session is given out has claimed it.
func TestAttachedBeforeItIsGivenOut(t *testing.T) {
	t.Parallel()
	w := secureListener(t, claimingSoon)
	raw := w.dialPlain()
	w.until(all(1, pb.State_STATE_HANDSHAKING))
	k := w.attach(&pb.AcceptResponse{Session: w.sessions()[0]})
	a := w.accept(0)
	peer := w.secured(raw)
	k.secure()
	w.talks(peer, k)
	// Another that is given out and not claimed tells when the time is over.
	closedByService(t, w.dial())
	w.talks(peer, k)
	a.cancel()
}
