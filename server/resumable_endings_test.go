package server_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// told is the end of a session's story: a stream attaches, is told what came
// before the end and the end itself, and acks it. Only then the session goes.
func (w *resumableWorld) told(k *caller, data string, want ended) {
	k.tb.Helper()
	s := k.session()
	next := k.again(w.direct)
	follow(next, 1)
	require.True(k.tb, data == string(next.data), "all that came before the end, and no more")
	want.received = int64(len(data))
	want.check(k.tb, next.events, 1)
	next.send(ackFrame(1, int64(len(data)), int64(len(next.events)-1)))
	next.send(closeFrame(pb.CloseSocket_HOW_ABORT)) // refused: so the ack was taken
	next.until(func() bool { return len(next.refused) == 1 })
	want.checkKept(k.tb, w.direct, s)
	next.cancel()
	w.detached(k.tb, s)
	want.checkKept(k.tb, w.direct, s)

	last := next.again(w.direct, func(m *pb.AttachSession) { m.ReceivedEventSeq--; m.AttachSeq = 99 })
	last.events = last.events[:len(last.events)-1]
	follow(last, 1)
	want.check(k.tb, last.events, 1)
	last.ack()
	require.NoError(k.tb, last.end(), "all is acked")
	w.gone(k.tb, s)
}

// checkKept sees that a session that has ended is still there.
func (want ended) checkKept(tb testing.TB, c pb.SecureSocketServiceClient, s idle) {
	tb.Helper()
	v := getSession(tb.Context(), tb, c, s)
	require.Equal(tb, pb.State_STATE_UNCONNECTED, v.GetState())
	require.Equal(tb, want.cause, v.GetCloseCause())
	require.Equal(tb, want.read, v.GetReadCause())
	require.Equal(tb, want.write, v.GetWriteCause())
	require.Equal(tb, want.sent, v.GetSentBytes())
	require.Equal(tb, want.failure, v.GetLastError().GetReason())
}

func TestPeerEndsWhileNobodyIsAttached(t *testing.T) {
	t.Parallel()
	payload := bytes.Repeat([]byte("0123456789"), 5000) // more could be lost in the kernel of a peer that resets
	for name, tc := range map[string]struct {
		end  func(*tls.Conn)
		want ended
	}{
		"FIN without close_notify": {tlstest.Truncate, ended{
			remote: pb.CloseCause_CLOSE_CAUSE_PEER_TRUNCATED, failure: pb.ErrorReason_ERROR_REASON_PEER_TRUNCATED,
		}},
		"FIN inside a record": {func(c *tls.Conn) { tlstest.TruncateRecord(c, 60) }, ended{
			remote: pb.CloseCause_CLOSE_CAUSE_PEER_TRUNCATED_RECORD, failure: pb.ErrorReason_ERROR_REASON_PEER_TRUNCATED,
		}},
		"RST": {tlstest.Reset, ended{
			remote: pb.CloseCause_CLOSE_CAUSE_PEER_RESET, failure: pb.ErrorReason_ERROR_REASON_PEER_RESET,
		}},
		"alert": {tlstest.FatalAlert, ended{
			remote: pb.CloseCause_CLOSE_CAUSE_PEER_ALERT, failure: pb.ErrorReason_ERROR_REASON_PEER_ALERT,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			detached := make(chan struct{})
			w := newResumableWorld(t, func(conn *tls.Conn) {
				if _, err := io.ReadFull(conn, make([]byte, 5)); err == nil && waits(t, detached) {
					_, _ = conn.Write(payload)
					tc.end(conn)
				}
			})
			k := w.resumable(t, w.direct)
			k.secure()
			k.write([]byte("hello"))
			k.until(func() bool { return k.progress.GetWrittenOffset() == 5 })
			k.cancel()
			w.detached(t, k.session())
			close(detached)
			w.disconnected(t, k.session())
			want := tc.want
			want.tail = []string{"io_error", "remote_closed", "UNCONNECTED", "closed"}
			want.cause, want.read, want.write, want.sent = want.remote, want.remote, want.remote, 5
			w.told(k, string(payload), want)
		})
	}
}

// waits is false when the test is over first.
func waits(tb testing.TB, ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	case <-tb.Context().Done():
		return false
	}
}

func TestCallerEndsAndLetsGo(t *testing.T) {
	t.Parallel()
	const local, idleCause = pb.CloseCause_CLOSE_CAUSE_LOCAL, pb.CloseCause_CLOSE_CAUSE_IDLE_TIMEOUT
	for name, tc := range map[string]struct {
		idle time.Duration
		end  func(k *caller)
		want ended
	}{
		"finish": {0, func(k *caller) { k.finish() }, ended{
			tail: []string{"remote_closed", "UNCONNECTED", "closed"}, remote: pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY,
			cause: local, read: pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY, write: local,
		}},
		"graceful": {0, func(k *caller) { k.send(closeFrame(pb.CloseSocket_HOW_GRACEFUL)) }, ended{
			tail: []string{"CLOSING", "UNCONNECTED", "closed"}, cause: local, read: local, write: local,
		}},
		"abort": {0, func(k *caller) { k.send(closeFrame(pb.CloseSocket_HOW_ABORT)) }, ended{
			tail: []string{"UNCONNECTED", "closed"}, cause: local, read: local, write: local,
		}},
		"nothing moves": {time.Second, func(*caller) {}, ended{
			tail: []string{"UNCONNECTED", "closed"}, cause: idleCause, read: idleCause, write: idleCause,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := make(listener, 1)
			w := newResumableWorld(t, l.handle)
			k := w.resumable(t, w.direct, func(m *pb.Open) { m.Settings.IdleTimeout = durationpb.New(tc.idle) })
			k.secure()
			k.write([]byte("hello"))
			k.until(func() bool { return len(k.data) == 5 && k.progress.GetWrittenOffset() == 5 })
			tc.end(k)
			require.NoError(t, k.stream.CloseSend(), "a detach, after the frames before it")
			require.NoError(t, k.end())
			w.disconnected(t, k.session())
			require.Equal(t, "hello", string(l.wait(t).data))
			if k.events[len(k.events)-1].GetClosed() != nil { // the stream was told before it let go
				k.events = k.events[:len(k.events)-1]
			}
			want := tc.want
			want.sent = 5
			w.told(k, "hello", want)
		})
	}
}

// The peer half-closes while nobody is attached: its bytes come, its end comes,
// and the caller writes on.
func TestPeerHalfClosesWhileNobodyIsAttached(t *testing.T) {
	t.Parallel()
	const rest = 300_000
	heardAll := make(chan heard, 1)
	detached := make(chan struct{})
	w := newResumableWorld(t, func(conn *tls.Conn) {
		if !waits(t, detached) {
			return
		}
		_, _ = conn.Write([]byte("last words"))
		_ = conn.CloseWrite()
		got, err := io.ReadAll(conn)
		heardAll <- heard{got, err}
	})
	k := w.resumable(t, w.direct)
	k.secure()
	k.write([]byte("hello"))
	k.until(func() bool { return k.progress.GetWrittenOffset() == 5 })
	k.cancel()
	w.detached(t, k.session())
	close(detached)
	require.Eventually(t, func() bool {
		return getSession(t.Context(), t, w.direct, k.session()).GetReadCause() == pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY
	}, patience, 5*time.Millisecond)

	next := k.again(w.direct)
	require.Equal(t, pb.State_STATE_ENCRYPTED, next.attached.GetSession().GetState())
	e := next.event("remote_closed")
	require.Equal(t, "last words", string(next.data))
	require.EqualValues(t, 10, e.GetSocketDataOffset())
	next.write(noise()[:rest])
	next.until(func() bool { return next.progress.GetAcceptedOffset() == 5+rest })
	next.cancel() // and once more, with bytes on their way
	w.detached(t, k.session())

	last := next.again(w.direct, func(m *pb.AttachSession) { m.AttachSeq = 3 })
	require.EqualValues(t, 5+rest, last.attached.GetAcceptedOffset())
	last.finish()
	follow(last, 1)
	h := <-heardAll
	require.NoError(t, h.err, "close_notify")
	require.True(t, bytes.Equal(append([]byte("hello"), noise()[:rest]...), h.data))
	ended{
		tail: []string{"remote_closed", "UNCONNECTED", "closed"}, remote: pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY,
		cause: pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY,
		read:  pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY, write: pb.CloseCause_CLOSE_CAUSE_LOCAL,
		received: 10, sent: 5 + rest,
	}.check(t, last.events, 1)
	last.ack()
	require.NoError(t, last.end())
	w.gone(t, k.session())
}

// The caller half-closes first; the peer's bytes and its end come while nobody
// is attached.
func TestPeerAnswersAHalfCloseWhileNobodyIsAttached(t *testing.T) {
	t.Parallel()
	payload := noise()[:400_000]
	detached := make(chan struct{})
	w := newResumableWorld(t, func(conn *tls.Conn) {
		if got, err := io.ReadAll(conn); err == nil && string(got) == "hello" && waits(t, detached) {
			_, _ = conn.Write(payload)
			tlstest.CloseNotify(conn)
		}
	})
	k := w.resumable(t, w.direct)
	k.secure()
	k.write([]byte("hello"))
	k.finish()
	k.until(func() bool { return k.progress.GetWrittenOffset() == 5 })
	k.cancel()
	w.detached(t, k.session())
	close(detached)
	w.disconnected(t, k.session())
	w.told(k, string(payload), ended{
		tail: []string{"remote_closed", "UNCONNECTED", "closed"}, remote: pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY,
		cause: pb.CloseCause_CLOSE_CAUSE_LOCAL, read: pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY, write: pb.CloseCause_CLOSE_CAUSE_LOCAL,
		sent: 5,
	})
}
