package server_test

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"io"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// TestThreat43StolenToken: a resume token without its principal is nothing: not for its session, and not for the thief's.
func TestThreat43StolenToken(t *testing.T) {
	t.Parallel()
	w := newResumableWorld(t, tlstest.Echo)
	k := w.resumable(t, w.direct)
	k.secure()
	k.write([]byte("mine"))
	k.until(func() bool { return string(k.data) == "mine" })
	s := k.session()
	before := getSession(t.Context(), t, w.direct, s)
	thief := servertest.As(t.Context(), "thief")
	random := make([]byte, len(s.token))
	_, _ = rand.Read(random)
	try := func(id string, token []byte, seq int64) error {
		return start(thief, t, w.direct, attachFrame(&pb.AttachSession{SessionId: id, ResumeToken: token, AttachSeq: seq})).end()
	}
	for _, seq := range []int64{0, 1, 2, 1000, 1 << 40} {
		unknown := try(unknownID(), random, seq)
		require.Equal(t, "SESSION_NOT_FOUND", reasonOf(t, unknown))
		require.Equal(t, unknown, try(s.id, s.token, seq))
	}
	own := newIdle(thief, t, w.direct, nil)
	attach(thief, t, w.direct, own, 1) // until then a session has no need of its token
	for name, token := range map[string][]byte{"stolen": s.token, "random": random, "none": nil, "longer": append(bytes.Clone(own.token), 0), "shorter": own.token[:8]} {
		require.Equal(t, "RESUME_TOKEN", reasonOf(t, try(own.id, token, 2)), name)
	}
	requireSame(t, before, getSession(t.Context(), t, w.direct, s), "the owner's session")
	k.write([]byte(" still"))
	k.until(func() bool { return string(k.data) == "mine still" })
	k = k.again(w.direct) // and the owner's token is as good as before
	k.sent = 10
	k.finish()
	k.closed()
}

// recorded is what a caller has sent so far, frame by frame.
type recorded struct {
	pb.SecureSocketService_AttachClient

	frames []*pb.AttachRequest
}

func (r *recorded) Send(m *pb.AttachRequest) error {
	r.frames = append(r.frames, proto.CloneOf(m))
	return r.SecureSocketService_AttachClient.Send(m)
}

// TestThreat44ReplayedAttach: all frames of an old stream come again, from the owner himself as it seems: they are refused,
// and the live stream and the peer see none of them.
func TestThreat44ReplayedAttach(t *testing.T) {
	t.Parallel()
	x := make(chan []byte, 1)
	w := newResumableWorld(t, func(conn *tls.Conn) {
		got, _ := io.ReadAll(io.TeeReader(conn, conn))
		x <- got
	})
	opened := w.resumable(t, w.direct)
	opened.secure()
	first := start(t.Context(), t, w.direct, attachFrame(&pb.AttachSession{SessionId: opened.session().id, ResumeToken: opened.session().token, AttachSeq: 2, Generation: 1}))
	replay := []*pb.AttachRequest{attachFrame(&pb.AttachSession{SessionId: opened.session().id, ResumeToken: opened.session().token, AttachSeq: 2, Generation: 1})}
	first.until(func() bool { return first.attached != nil })
	tape := &recorded{SecureSocketService_AttachClient: first.stream}
	first.stream = tape
	first.write([]byte("transfer 100;"))
	first.until(func() bool { return string(first.data) == "transfer 100;" })
	replay = append(replay, tape.frames...)
	replay = append(replay, closeFrame(pb.CloseSocket_HOW_ABORT))
	live := first.again(w.direct)
	live.sent = int64(len("transfer 100;"))

	for n := range 20 {
		if n == 10 { // and the live stream's own first frame
			replay[0].GetAttach().AttachSeq++
		}
		old := start(t.Context(), t, w.direct, replay[0])
		for _, m := range replay[1:] {
			_ = old.stream.Send(m) // until it is refused
		}
		reason, metadata := infoOf(t, old.end())
		require.Equal(t, "SUPERSEDED", reason)
		require.Equal(t, "3", metadata["attach_seq"], "what it would have to be beyond")
		require.Nil(t, old.attached)
		require.Empty(t, old.data)
	}
	live.write([]byte("transfer 1;"))
	live.until(func() bool { return string(live.data) == "transfer 100;transfer 1;" })
	live.finish()
	live.closed()
	require.Equal(t, "transfer 100;transfer 1;", string(<-x), "the peer got each once")
}

// TestThreat46TwoLiveClients: of two copies of a caller the one with the newest attach_seq lives; the other is told so, and
// what it sends from then on goes nowhere. They take turns, and both send at every moment.
func TestThreat46TwoLiveClients(t *testing.T) {
	t.Parallel()
	x := make(chan []byte, 1)
	w := newResumableWorld(t, func(conn *tls.Conn) {
		got, _ := io.ReadAll(conn)
		x <- got
	})
	k := w.resumable(t, w.direct)
	k.secure()
	s := k.session()
	k.sent = 0
	const turns = 30
	other := w.svc.Client(t) // the copy has a connection of its own
	for turn := range turns {
		c := w.direct
		if turn%2 == 0 {
			c = other
		}
		var shouting sync.WaitGroup
		stale := k
		stop := make(chan struct{})
		shouting.Go(func() {
			for n := int64(0); ; n++ { // the same bytes at the same place: only whose stream it is tells them apart
				select {
				case <-stop:
					return
				default:
					if stale.stream.Send(dataFrame(1, stale.sent, "S")) != nil {
						return
					}
					stale.sent++
				}
			}
		})
		next := start(t.Context(), t, c, attachFrame(&pb.AttachSession{SessionId: s.id, ResumeToken: s.token, AttachSeq: int64(2 + turn), Generation: 1, ReceivedEventSeq: int64(len(k.events))}))
		next.until(func() bool { return next.attached != nil })
		accepted := next.attached.GetAcceptedOffset()
		for range 50 { // the old one goes on
			_ = stale.stream.Send(dataFrame(1, accepted, "X"))
			accepted++
		}
		close(stop)
		shouting.Wait()
		require.Equal(t, "SUPERSEDED", reasonOf(t, stale.end()), "turn %d", turn)
		require.Equal(t, pb.ErrorReason_ERROR_REASON_SUPERSEDED, stale.detached.GetFailure().GetReason())
		next.sent = next.attached.GetAcceptedOffset()
		k = next
		k.write([]byte("L"))
		k.until(func() bool { return k.progress.GetWrittenOffset() >= k.sent }) // or the next one would be in its way
	}
	k.finish()
	k.closed()
	got := <-x
	require.NotContains(t, string(got), "X", "what a superseded stream sent")
	require.Equal(t, turns, bytes.Count(got, []byte("L")), "what the live ones sent")
	require.EqualValues(t, k.sent, len(got))
}
