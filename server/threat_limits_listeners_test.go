package server_test

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
)

// TestThreat55WhereNobodyMayListen: by default there are loopback addresses, and none of
// the machine's own ports.
func TestThreat55WhereNobodyMayListen(t *testing.T) {
	t.Parallel()
	w := plainListener(t, nil)
	for _, m := range []*pb.ListenRequest{
		{Address: "0.0.0.0"}, {Address: "::"}, {Address: "192.0.2.1"}, {Address: "::ffff:0.0.0.0"}, {Address: "224.0.0.1"},
		{Address: "127.0.0.1", Port: 22}, {Address: "127.0.0.1", Port: 443}, {Address: "127.0.0.1", Port: 1023}, {Address: "::1", Port: 80},
	} {
		_, err := w.lc.Listen(t.Context(), m)
		require.Equal(t, "LISTEN_DENIED", reasonOf(t, err), "%v", m)
	}
}

// TestThreat55AcceptsAreHoarded has a listener that hundreds connect to: those who say
// nothing, whom nobody accepts, and whom their owner does not claim. No more wait than
// the backlog, and all of them are closed.
func TestThreat55AcceptsAreHoarded(t *testing.T) {
	t.Parallel()
	for name, kind := range eitherListener {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const peers, slots = 100, 8
			w := kind(t, claimingSoon, backlog(slots), settling(func(s *pb.SessionSettings) {
				s.Tls.HandshakeTimeout = durationpb.New(500 * time.Millisecond)
			}))
			n := newNeighbour(t, w.c)
			a := w.accept(1) // one at a time, which it never claims
			var conns []*net.TCPConn
			for range peers {
				conns = append(conns, w.dialPlain())
			}
			require.Eventually(t, func() bool { return w.look().GetAcceptedCount() > slots }, patience, 5*time.Millisecond)
			require.LessOrEqual(t, w.look().GetPendingCount(), int32(slots+1), "and the one that was given out")
			n.talks()
			a.cancel()
			w.close()
			for _, conn := range conns {
				closedByService(t, conn)
			}
			n.cancel()
			w.empty()
			givenBack(t, w.svc)
		})
	}
}
