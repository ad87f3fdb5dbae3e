package server_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// streamless is a caller that has no stream of its own.
type streamless struct {
	tb testing.TB
	c  pb.SecureSocketServiceClient
	s  idle

	data   []byte
	events []*pb.Event
}

// streamless creates a session of a caller without streams, and connects it.
func (w *resumableWorld) streamless(tb testing.TB, settings *pb.SessionSettings) *streamless {
	tb.Helper()
	u := &streamless{tb: tb, c: w.direct, s: newIdle(tb.Context(), tb, w.direct, nil, settings)}
	connectTo(tb.Context(), tb, w.direct, u.s, w.addr)
	return u
}

func (u *streamless) write(offset int64, payload string, finish bool) (*pb.OutputProgress, error) {
	resp, err := u.c.Write(u.tb.Context(), &pb.WriteRequest{SessionId: u.s.id, Offset: offset, Generation: 1, Payload: []byte(payload), Finish: finish})
	return resp.GetProgress(), err
}

// begin starts to read from where the caller is.
func (u *streamless) begin(ctx context.Context, wait bool) pb.SecureSocketService_ReadClient {
	u.tb.Helper()
	var seq int64
	if n := len(u.events); n > 0 {
		seq = u.events[n-1].GetSeq()
	}
	stream, err := u.c.Read(ctx, &pb.ReadRequest{SessionId: u.s.id, Offset: int64(len(u.data)), EventSeq: seq, Generation: 1, Wait: wait})
	require.NoError(u.tb, err)
	return stream
}

// take takes what a Read has, until its end or until a condition holds.
func (u *streamless) take(stream pb.SecureSocketService_ReadClient, until func() bool) error {
	u.tb.Helper()
	for !until() {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch f := m.GetFrame().(type) {
		case *pb.ReadResponse_SocketData:
			require.EqualValues(u.tb, len(u.data), f.SocketData.GetOffset())
			require.EqualValues(u.tb, 1, f.SocketData.GetGeneration())
			u.data = append(u.data, f.SocketData.GetPayload()...)
		case *pb.ReadResponse_Event:
			require.EqualValues(u.tb, len(u.events)+1, f.Event.GetSeq(), "each once, in order")
			require.EqualValues(u.tb, len(u.data), f.Event.GetSocketDataOffset())
			u.events = append(u.events, f.Event)
		}
	}
	return nil
}

// wait reads until a condition holds.
func (u *streamless) wait(until func() bool) {
	u.tb.Helper()
	ctx, cancel := context.WithTimeout(u.tb.Context(), patience)
	defer cancel()
	require.NoError(u.tb, u.take(u.begin(ctx, true), until))
	require.True(u.tb, until())
}

func never() bool { return false }

func resumableSettings() *pb.SessionSettings {
	return &pb.SessionSettings{Resumable: proto.Bool(true)}
}

// Nothing but unary calls from the first to the last byte, and every Write twice.
func TestConversationWithoutAStream(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string]*pb.SessionSettings{"resumable": resumableSettings(), "not resumable": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := make(listener, 1)
			w := newResumableWorld(t, l.handle)
			u := w.streamless(t, settings)
			for range 2 {
				p, err := u.write(0, "hello", false)
				require.NoError(t, err)
				require.EqualValues(t, 5, p.GetAcceptedOffset())
				require.EqualValues(t, 1, p.GetGeneration())
				require.GreaterOrEqual(t, p.GetSendLimit(), p.GetAcceptedOffset())
			}
			p, err := u.write(3, "lo, ", false) // overlaps
			require.NoError(t, err)
			require.EqualValues(t, 7, p.GetAcceptedOffset())
			u.wait(func() bool { return len(u.data) == 7 })
			require.Equal(t, "hello, ", string(u.data))

			require.NoError(t, u.take(u.begin(t.Context(), false), never), "what is there: nothing more")
			require.Equal(t, "hello, ", string(u.data))
			for range 2 {
				p, err = u.write(7, "world", true)
				require.NoError(t, err)
				require.EqualValues(t, 12, p.GetAcceptedOffset())
			}
			u.wait(func() bool { return len(u.data) == 12 })
			require.NoError(t, u.take(u.begin(t.Context(), true), never), "the Read ends after closed")
			require.Equal(t, "hello, world", string(u.data))
			h := l.wait(t)
			require.NoError(t, h.err)
			require.Equal(t, "hello, world", string(h.data))
			ended{
				tail: []string{"remote_closed", "UNCONNECTED", "closed"}, remote: pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY,
				cause: pb.CloseCause_CLOSE_CAUSE_LOCAL, read: pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY, write: pb.CloseCause_CLOSE_CAUSE_LOCAL,
				received: 12, sent: 12,
			}.check(t, u.events, 1)
			require.NoError(t, u.take(u.begin(t.Context(), true), never), "and once more there is nothing")
		})
	}
}

func TestReadAcksWhatItsCallerHas(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string]*pb.SessionSettings{"resumable": resumableSettings(), "not resumable": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newResumableWorld(t, tlstest.Echo)
			u := w.streamless(t, settings)
			_, err := u.write(0, "hello", false)
			require.NoError(t, err)
			u.wait(func() bool { return len(u.data) == 5 })
			at := func(offset int64) error {
				u.data = make([]byte, offset)
				return u.take(u.begin(t.Context(), false), never)
			}
			if settings.GetResumable() {
				for range 2 { // what no Read has acked is there
					require.NoError(t, at(2))
					require.Equal(t, "llo", string(u.data[2:]))
				}
				require.Equal(t, "OFFSET_MISMATCH", reasonOf(t, at(1)), "what was acked is gone")
			} else {
				require.Equal(t, "OFFSET_MISMATCH", reasonOf(t, at(2)), "what was sent is gone")
			}
			require.Equal(t, "OFFSET_MISMATCH", reasonOf(t, at(6)), "never received")
			require.NoError(t, at(5))
			u.events = append(u.events, &pb.Event{Seq: 999})
			require.Equal(t, "OFFSET_MISMATCH", reasonOf(t, u.take(u.begin(t.Context(), false), never)), "never happened")
		})
	}
}

func TestWritesThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newResumableWorld(t, tlstest.Echo)
	settings := resumableSettings()
	settings.SendBufferBytes = 64 << 10
	u := w.streamless(t, settings)
	large := string(noise()[:128<<10])
	_, err := u.write(0, "hello", false)
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		offset  int64
		payload string
		reason  string
	}{
		"a gap":                   {6, "x", "OFFSET_MISMATCH"},
		"negative":                {-1, "x", "INVALID_FIELD"},
		"empty":                   {5, "", "INVALID_FIELD"},
		"too large for a message": {5, large + "x", "INVALID_FIELD"},
	} {
		_, err := u.write(tc.offset, tc.payload, false)
		require.Equal(t, tc.reason, reasonOf(t, err), name)
	}
	p, err := u.write(5, "", true)
	require.NoError(t, err)
	require.EqualValues(t, 5, p.GetAcceptedOffset())
	_, err = u.write(5, "", true)
	require.NoError(t, err, "finish again")
	_, err = u.write(0, "hello", true)
	require.NoError(t, err, "and with bytes that came before")
	_, err = u.write(5, "x", false)
	require.Equal(t, "SESSION_STATE", reasonOf(t, err), "after finish")
	u.wait(func() bool { n := len(u.events); return n > 0 && u.events[n-1].GetClosed() != nil })
	_, err = u.write(5, "x", false)
	require.Equal(t, "SESSION_STATE", reasonOf(t, err), "after closed")

	never := &streamless{tb: t, c: w.direct, s: newIdle(t.Context(), t, w.direct, nil)}
	_, err = never.write(0, "x", false)
	require.Equal(t, "SESSION_STATE", reasonOf(t, err), "never connected")
}

func TestUnaryCallsBesideAStream(t *testing.T) {
	t.Parallel()
	w := newResumableWorld(t, tlstest.Echo)
	u := w.streamless(t, resumableSettings())
	_, err := u.write(0, "hello", false)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	waiting := u.begin(ctx, true)
	require.NoError(t, u.take(waiting, func() bool { return len(u.data) == 5 }))
	k := attach(t.Context(), t, w.direct, u.s, 1)
	require.EqualValues(t, 5, k.attached.GetAcceptedOffset())
	require.Equal(t, "SESSION_STATE", reasonOf(t, u.take(waiting, never)), "an attach ends it")
	require.Equal(t, "SESSION_STATE", reasonOf(t, u.take(u.begin(ctx, false), never)))
	_, err = u.write(5, "x", false)
	require.Equal(t, "SESSION_STATE", reasonOf(t, err))
	k.until(func() bool { return string(k.data) == "hello" }) // nobody has acked it
	require.NoError(t, k.stream.CloseSend())
	require.NoError(t, k.end())
	p, err := u.write(5, " again", false)
	require.NoError(t, err)
	require.EqualValues(t, 11, p.GetAcceptedOffset())
	u.wait(func() bool { return string(u.data) == "hello again" })
}

// The peer does not read: a Write waits for room, and a stream takes the session
// meanwhile.
func TestAttachEndsAWaitingWrite(t *testing.T) {
	t.Parallel()
	w := newResumableWorld(t, func(*tls.Conn) { <-t.Context().Done() })
	u := w.streamless(t, resumableSettings())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ends := make(chan error, 1)
	go func() {
		var at int64
		for {
			resp, err := u.c.Write(ctx, &pb.WriteRequest{SessionId: u.s.id, Offset: at, Generation: 1, Payload: noise()[:128<<10]})
			if err != nil {
				ends <- err
				return
			}
			at = resp.GetProgress().GetAcceptedOffset()
		}
	}()
	var last int64
	same := 0
	require.Eventually(t, func() bool {
		v := getSession(t.Context(), t, u.c, u.s)
		if now := v.GetSentBytes() + v.GetPendingBytes(); now == last && v.GetPendingBytes() > 0 {
			same++
		} else {
			last, same = now, 0
		}
		return same > 100
	}, patience, 5*time.Millisecond, "it waits")
	attach(t.Context(), t, w.direct, u.s, 1)
	require.Equal(t, "SESSION_STATE", reasonOf(t, <-ends))
}

// The grace is over after three seconds without a call, and a Read waits for longer.
func TestReadRenewsTheGraceWhileItWaits(t *testing.T) {
	t.Parallel()
	for name, resumable := range map[string]bool{"resumable": true, "not resumable": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			speak := make(chan struct{})
			w := newResumableWorld(t, func(conn *tls.Conn) {
				if waits(t, speak) {
					_, _ = conn.Write([]byte("hello"))
				}
				tlstest.Echo(conn)
			})
			u := w.streamless(t, &pb.SessionSettings{Resumable: &resumable, DetachGrace: durationpb.New(3 * time.Second)})
			timer := time.AfterFunc(7*time.Second, func() { close(speak) })
			defer timer.Stop()
			u.wait(func() bool { return string(u.data) == "hello" })
			var err error
			require.Eventually(t, func() bool {
				var v *pb.GetSessionResponse
				v, err = w.direct.GetSession(t.Context(), &pb.GetSessionRequest{SessionId: u.s.id})
				return err != nil || v.GetSession().GetCloseCause() == pb.CloseCause_CLOSE_CAUSE_DETACH_EXPIRED
			}, patience, 20*time.Millisecond, "nobody calls any more")
			if resumable {
				require.Equal(t, "SESSION_EXPIRED", reasonOf(t, err))
			} else {
				require.NoError(t, err)
			}
		})
	}
}

func TestReadAsksAndDecideAnswers(t *testing.T) {
	t.Parallel()
	addr, ends, ca := serveFlawed(t, tls.VersionTLS13)
	w := worldOf(t, ca, addr)
	u := &streamless{tb: t, c: w.direct, s: newIdle(t.Context(), t, w.direct, ca, asking(func(m *pb.SessionSettings) { m.Resumable = proto.Bool(true) }))}
	begin(t, w.direct, u.s, addr)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	question := func() *pb.DecisionRequest {
		stream := u.begin(ctx, true)
		for {
			m, err := stream.Recv()
			require.NoError(t, err)
			if e := m.GetEvent(); e != nil {
				u.events = append(u.events, e)
			}
			if q := m.GetDecisionRequest(); q != nil {
				return q
			}
		}
	}
	q := question()
	require.Len(t, q.GetReport().GetProblems(), 2)
	requireSame(t, q, question(), "every Read is asked again")
	require.NoError(t, decide(t, w.direct, u.s, exactly(q)))
	u.wait(func() bool { return string(u.data) == "at once" })
	require.NoError(t, ends.next(t))
	require.Equal(t, "secure_connected", kindOf(u.events[len(u.events)-1]))
}
