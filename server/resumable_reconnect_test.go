package server_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// reconnectEnd is how a generation ends that another Connect has ended.
func reconnectEnd(received, sent int64) ended {
	const reconnect = pb.CloseCause_CLOSE_CAUSE_RECONNECT
	return ended{tail: []string{"UNCONNECTED", "closed"}, cause: reconnect, read: reconnect, write: reconnect, received: received, sent: sent}
}

func TestReconnectWhileAttached(t *testing.T) {
	t.Parallel()
	w := newResumableWorld(t, tlstest.Echo)
	k := w.resumable(t, w.direct) // without keep_session: another Connect is not its end
	k.secure()
	k.write([]byte("one"))
	k.until(func() bool { return string(k.data) == "one" && k.progress.GetWrittenOffset() == 3 })
	connectTo(t.Context(), t, w.direct, k.session(), w.addr)
	closedOf(k, 1)
	reconnectEnd(3, 3).check(t, k.events, 1)
	k.data = nil
	for _, m := range []*pb.AttachRequest{ // of the old generation: dropped
		dataFrame(1, 3, "old"), ackFrame(1, 3, 0), ackFrame(1, 999, 0), finishFrame(1, 3), finishFrame(1, 999), dataFrame(1, 999, "old"),
	} {
		k.send(m)
	}
	k.send(dataFrame(2, 0, "two"))
	k.until(func() bool { return string(k.data) == "two" })
	require.Empty(t, k.refused)
	for i, m := range []*pb.AttachRequest{dataFrame(0, 3, "whose"), ackFrame(0, 3, 0), finishFrame(0, 3)} {
		k.send(m)
		k.until(func() bool { return len(k.refused) > i })
		require.Equal(t, pb.ErrorReason_ERROR_REASON_INVALID_FIELD, k.refused[i].GetFailure().GetReason())
	}
	k.send(dataFrame(3, 0, "of a generation to come")) // dropped too
	k.send(finishFrame(2, 3))
	closedOf(k, 2)
	require.Equal(t, "two", string(k.data))
	k.send(ackFrame(2, 3, int64(len(k.events))))
	require.NoError(t, k.end())
	w.gone(t, k.session())
}

// The events of the old generation are told, and none of its bytes, wherever the
// caller was in it.
func TestReconnectWhileDetached(t *testing.T) {
	t.Parallel()
	for name, acked := range map[string]bool{"acked": true, "not acked": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newResumableWorld(t, tlstest.Echo)
			k := w.resumable(t, w.direct)
			k.secure()
			k.write([]byte("first"))
			k.until(func() bool { return len(k.data) == 5 && k.progress.GetWrittenOffset() == 5 })
			had := len(k.events)
			if acked {
				k.ack()
			}
			require.NoError(t, k.stream.CloseSend())
			require.NoError(t, k.end())
			s := k.session()
			resp := connectTo(t.Context(), t, w.direct, s, w.addr)
			require.EqualValues(t, 2, resp.GetSession().GetGeneration())

			next := start(t.Context(), t, w.direct, attachFrame(&pb.AttachSession{
				SessionId: s.id, ResumeToken: s.token, AttachSeq: 2, Generation: 1, ReceivedOffset: 4, ReceivedEventSeq: int64(had),
			}))
			next.until(func() bool { return next.attached != nil })
			require.Zero(t, next.attached.GetAcceptedOffset(), "of the new generation")
			require.Zero(t, next.attached.GetSocketDataOffset())
			next.events = k.events
			next.send(dataFrame(1, 5, "old"))
			next.send(ackFrame(1, 5, 0))
			next.send(dataFrame(2, 0, "second"))
			next.until(func() bool { return string(next.data) == "second" })
			require.Empty(t, next.refused)
			reconnectEnd(5, 5).check(t, next.events, 1)
			for i, e := range next.events {
				require.EqualValues(t, i+1, e.GetSeq(), "each once, in order")
			}
			next.send(finishFrame(2, 6))
			closedOf(next, 2)
			next.send(ackFrame(2, 6, int64(len(next.events))))
			require.NoError(t, next.end())
			w.gone(t, s)
		})
	}
}
