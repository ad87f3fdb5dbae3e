package server_test

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
)

// A drain ends Accept, and lets claimed sessions go on.
func TestDrainOfAListener(t *testing.T) {
	t.Parallel()
	w := plainListener(t, nil)
	a := w.accept(0)
	peer := w.dialPlain()
	k := w.attach(a.next())
	waiting := w.dialPlain()
	a.next()
	end := draining(t, w.svc, k)
	_, err := a.rest()
	require.Equal(t, "DRAINING", reasonOf(t, err))
	_, err = w.lc.Listen(t.Context(), &pb.ListenRequest{Address: "127.0.0.1"})
	require.Equal(t, "DRAINING", reasonOf(t, err))
	stream, err := w.lc.Accept(t.Context(), &pb.AcceptRequest{ListenerId: w.l.GetListenerId()})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.Equal(t, "DRAINING", reasonOf(t, err))
	w.refusing()
	w.talks(peer, k)
	k.until(func() bool { return k.progress.GetWrittenOffset() == k.sent }) // else the end is a reset
	end()
	require.Equal(t, pb.CloseCause_CLOSE_CAUSE_DRAIN, k.closed().GetCause())
	_, err = io.ReadAll(peer)
	require.NoError(t, err)
	closedByService(t, waiting)
}

// A drain does not wait for sessions that nobody will be told of any more.
func TestDrainLeavesTheUntold(t *testing.T) {
	t.Parallel()
	w := plainListener(t, nil)
	waiting := w.dialPlain()
	w.until(all(1, pb.State_STATE_CONNECTED))
	done := make(chan struct{})
	ctx := t.Context()
	go func() { defer close(done); w.svc.Server.Drain(ctx) }()
	closedByService(t, waiting)
	select {
	case <-done:
	case <-patienceOf(t):
		require.Fail(t, "the drain goes on")
	}
}
