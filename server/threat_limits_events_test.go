package server_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// TestThreat37EventsAreBounded has a session fail so often that nobody could keep what
// happened: 64 events are, of no more than 1 MiB, and what was dropped is said, exactly.
func TestThreat37EventsAreBounded(t *testing.T) {
	t.Parallel()
	t.Run("in number", func(t *testing.T) {
		t.Parallel()
		addr := closedPort(t)
		eventsOf(t, 300, func(c pb.SecureSocketServiceClient, s idle) {
			_, err := tryConnect(t.Context(), t, c, s, addr)
			require.Equal(t, "CONNECTION_REFUSED", reasonOf(t, err))
		})
	})
	t.Run("in bytes", func(t *testing.T) {
		t.Parallel()
		ca := tlstest.NewCA(t)
		leaf := ca.Leaf(tlstest.Names("127.0.0.1"), tlstest.Padding(28<<10)) // and so its report
		extra := tlstest.NewCA(t, tlstest.Padding(28<<10))
		addr := serveChain(t, leaf.Append(extra.DER()))
		eventsOf(t, 60, func(c pb.SecureSocketServiceClient, s idle) {
			_, err := tryConnect(t.Context(), t, c, s, addr)
			require.Equal(t, "CERTIFICATE_UNTRUSTED_SIGNERS", reasonOf(t, err))
		})
	})
}

// eventsOf has something happen to a session that nobody is attached to, and then
// attaches and judges what is told.
func eventsOf(t *testing.T, times int, happen func(pb.SecureSocketServiceClient, idle)) {
	t.Helper()
	c := servertest.Start(t).Client(t)
	s := newIdle(t.Context(), t, c, nil)
	for range times {
		happen(c, s)
	}
	k := start(t.Context(), t, c, attachFrame(&pb.AttachSession{SessionId: s.id, AttachSeq: 1}))
	require.NoError(t, k.stream.CloseSend())
	require.NoError(t, k.end())
	var seen, bytes, dropped int
	next := int64(1)
	for _, e := range k.events {
		if d := e.GetEventsDropped(); d != nil {
			require.Equal(t, next, d.GetFirstSeq())
			require.Equal(t, e.GetSeq(), d.GetLastSeq())
			require.Equal(t, d.GetLastSeq()-d.GetFirstSeq()+1, d.GetCount())
			dropped += int(d.GetCount())
		} else {
			require.Equal(t, next, e.GetSeq(), "never silently")
			seen++
			bytes += proto.Size(e)
		}
		next = e.GetSeq() + 1
	}
	require.LessOrEqual(t, seen, 64)
	require.LessOrEqual(t, bytes, 1<<20)
	require.Greater(t, dropped, times)
	last := k.events[len(k.events)-1]
	require.NotNil(t, last.GetClosed(), "the newest is kept")
	require.EqualValues(t, times, last.GetGeneration())
}
