package server_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
)

// What is refused for another cause gives back what it had taken of the limits.
func TestRefusalsGiveBack(t *testing.T) {
	t.Parallel()
	t.Run("StartTls at an offset that cannot be", func(t *testing.T) {
		t.Parallel()
		w := newHandshakeWorld(t)
		k := open(t, w.c, silent(t), nil, plainly, keepSession)
		k.event("CONNECTED")
		k.write([]byte("four"))
		k.until(func() bool { return k.progress.GetWrittenOffset() == 4 })
		for range 5 {
			_, err := w.c.StartTls(t.Context(), &pb.StartTlsRequest{SessionId: k.session().id, StartTls: asClient(0, 2)})
			require.Equal(t, "OFFSET_MISMATCH", reasonOf(t, err))
		}
		require.Zero(t, w.svc.Registry.Stats().Handshakes)
		w.ends(t.Context(), t, k.session())
		w.nothingHeld(t)
	})
	t.Run("Listen where somebody listens", func(t *testing.T) {
		t.Parallel()
		svc, d := descriptorWorld(t, 8)
		lc := pb.NewListenerServiceClient(svc.Dial(t))
		resp, err := lc.Listen(t.Context(), &pb.ListenRequest{Address: "127.0.0.1"})
		require.NoError(t, err)
		for range 10 {
			_, err := lc.Listen(t.Context(), &pb.ListenRequest{Address: "127.0.0.1", Port: resp.GetListener().GetLocal().GetPort()})
			require.Equal(t, "ADDRESS_IN_USE", reasonOf(t, err))
		}
		require.EqualValues(t, 1, d.Total())
		_, err = lc.CloseListener(t.Context(), &pb.CloseListenerRequest{ListenerId: resp.GetListener().GetListenerId()})
		require.NoError(t, err)
		require.Zero(t, d.Total())
	})
}
