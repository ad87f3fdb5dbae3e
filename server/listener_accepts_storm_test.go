package server_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
)

// Ordinary behaviour of an owner must not end the service: an Accept that breaks
// before all is given again, another one, a claim.
func TestAcceptsDoNotEndTheService(t *testing.T) {
	t.Parallel()
	const peers = 200
	w := plainListener(t, []servertest.Option{func(sc *session.Config, _ *server.Config) {
		sc.ClaimTimeout = time.Minute
	}}, backlog(1024))
	for range peers {
		w.dialPlain()
	}
	ids := w.accept(peers).take(peers)
	for range 30 {
		ctx, cancel := context.WithCancel(t.Context())
		s, err := w.lc.Accept(ctx, &pb.AcceptRequest{ListenerId: w.l.GetListenerId(), Credit: peers})
		require.NoError(t, err)
		_, _ = s.Recv()
		cancel()
	}
	for i := range ids[:peers/2] { // as their owner may at any time
		_, err := w.c.DeleteSession(t.Context(), &pb.DeleteSessionRequest{SessionId: ids[2*i]})
		require.NoError(t, err)
	}
	a := w.accept(peers)
	last := a.take(peers / 2)
	seen := map[string]bool{}
	for _, id := range last {
		require.False(t, seen[id], "given out twice to one Accept")
		seen[id] = true
	}
	w.nothingMore(a)
}
