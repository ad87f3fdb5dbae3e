package server_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// running runs a resumer over the direct connection; stop cuts it and waits.
func (w *resumableWorld) running(tb testing.TB, r *resumer) (stop func(), outcome func() error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 3*patience)
	r.dial = func() (pb.SecureSocketServiceClient, func()) { return w.direct, func() {} }
	var wg sync.WaitGroup
	var err error
	wg.Go(func() { err = r.run(ctx) })
	stop = func() { cancel(); wg.Wait() }
	tb.Cleanup(stop)
	return stop, func() error { wg.Wait(); return err }
}

func TestPeerIsStoppedUntilTheCallerAcks(t *testing.T) {
	t.Parallel()
	const size, ring = 16 << 20, 256 << 10
	var wrote atomic.Int64
	addr, ca := scriptedPeer(t, func(conn *tls.Conn) {
		for at := 0; at < size; at += 64 << 10 {
			if _, err := conn.Write(noise()[at : at+64<<10]); err != nil {
				return
			}
			wrote.Add(64 << 10)
		}
		if _, err := io.Copy(io.Discard, conn); err == nil {
			tlstest.CloseNotify(conn)
		}
	})
	w := worldOf(t, ca, addr)
	r := &resumer{open: w.open("x", func(m *pb.Open) { m.Settings.ReceiveBufferBytes = ring }), holding: true, noEnd: true}
	_, outcome := w.running(t, r)
	r.eventually(t, func() bool { return len(r.in) >= ring/2 }, "bytes")
	s := idle{id: r.id}
	var last, same int64
	require.Eventually(t, func() bool {
		v := getSession(t.Context(), t, w.direct, s)
		require.LessOrEqual(t, v.GetReceivedBytes(), int64(ring))
		if now := wrote.Load(); now == last {
			same++
		} else {
			last, same = now, 0
		}
		return same > 50
	}, patience, 5*time.Millisecond, "the peer has to wait")
	require.Less(t, last, int64(size))
	r.look(func() { require.LessOrEqual(t, len(r.in), ring) })
	r.release()
	require.NoError(t, outcome())
	require.Equal(t, sha256.Sum256(noise()[:size]), sha256.Sum256(r.in))
}

func TestBytesBeyondTheSendLimitEndTheStream(t *testing.T) {
	t.Parallel()
	const ring = 16 << 10
	w := newResumableWorld(t, tlstest.Echo)
	k := w.resumable(t, w.direct, func(m *pb.Open) { m.Settings.SendBufferBytes = ring })
	k.secure()
	k.until(func() bool { return k.progress.GetSendLimit() > 0 })
	require.EqualValues(t, ring, k.progress.GetSendLimit())
	k.write([]byte("hello"))
	k.until(func() bool { return string(k.data) == "hello" })
	k.send(dataFrame(1, 5, string(noise()[:4*ring])))
	reason, metadata := infoOf(t, k.end())
	require.Equal(t, "OFFSET_MISMATCH", reason)
	require.Equal(t, "send_limit", metadata["what"])
	w.detached(t, k.session())

	next := k.again(w.direct)
	require.Equal(t, pb.State_STATE_ENCRYPTED, next.attached.GetSession().GetState())
	require.EqualValues(t, 5, next.attached.GetAcceptedOffset(), "none of that frame")
	next.write(noise()[:1000])
	next.until(func() bool { return len(next.data) == 1005 })
	require.Equal(t, noise()[:1000], next.data[5:])
	next.finish()
	next.closed()
	next.ack()
	require.NoError(t, next.end())
}

// The peer does not read, and the caller has sent all that it may: everything
// else still passes.
func TestAcksAndEndsPassAPeerThatDoesNotRead(t *testing.T) {
	t.Parallel()
	w := newResumableWorld(t, func(conn *tls.Conn) {
		_, _ = conn.Write([]byte("hello"))
		<-t.Context().Done()
	})
	r := &resumer{open: w.open("x"), out: noise(), noEnd: true, holding: true}
	stop, _ := w.running(t, r)
	r.stuck(t)
	r.eventually(t, func() bool { return string(r.in) == "hello" }, "the peer's bytes")
	stop()
	k := start(t.Context(), t, w.direct, attachFrame(&pb.AttachSession{
		SessionId: r.id, ResumeToken: r.token, AttachSeq: int64(r.tries) + 1, ReceivedEventSeq: int64(len(r.events)), ReceivedOffset: 5,
	}))
	k.until(func() bool { return k.attached != nil })
	require.Equal(t, r.accepted, k.attached.GetAcceptedOffset())
	require.Equal(t, r.limit, k.attached.GetSendLimit())
	refused := func(m *pb.AttachRequest) {
		t.Helper()
		k.send(m)
		n := len(k.refused)
		k.until(func() bool { return len(k.refused) > n })
		require.Equal(t, pb.ErrorReason_ERROR_REASON_OFFSET_MISMATCH, k.refused[n].GetFailure().GetReason())
	}
	k.send(ackFrame(1, 5, 0))
	refused(ackFrame(1, 6, 0))
	k.send(dataFrame(1, r.accepted-5, string(noise()[r.accepted-5:r.accepted]))) // had before: trimmed
	k.send(finishFrame(1, r.accepted))
	refused(closeOffset(r.accepted - 1))
	require.Equal(t, r.limit, max(r.limit, k.progress.GetSendLimit()), "no more room was promised")
	k.send(closeFrame(pb.CloseSocket_HOW_ABORT))
	closed := k.closed()
	require.Less(t, closed.GetSentBytes(), r.accepted)
	k.send(ackFrame(1, 5, k.events[len(k.events)-1].GetSeq()))
	require.NoError(t, k.end())
}

func closeOffset(offset int64) *pb.AttachRequest {
	return &pb.AttachRequest{Frame: &pb.AttachRequest_Close{Close: &pb.CloseSocket{SendOffset: &offset}}}
}

// A peer that echoes, a caller that sends and does not ack: both rings and both
// sockets are full. Then the caller acks, and all of it moves.
func TestEchoWithFullRingsGoesOn(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	cfg := serverConfig(ca.Leaf(tlstest.Names("127.0.0.1")))
	w := worldOf(t, ca, tlstest.ServeRaw(t, func(raw net.Conn) {
		tc := raw.(*net.TCPConn)
		_, _ = tc.SetReadBuffer(64<<10), tc.SetWriteBuffer(64<<10)
		tlstest.Echo(tls.Server(raw, cfg))
	}))
	r := &resumer{open: w.open("x"), out: noise(), holding: true, noEnd: true}
	_, outcome := w.running(t, r)
	r.stuck(t)
	r.release()
	require.NoError(t, outcome())
	require.Equal(t, sha256.Sum256(noise()), sha256.Sum256(r.in))
	require.EqualValues(t, len(noise()), r.closed.GetSentBytes())
}
