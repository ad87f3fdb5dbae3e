package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/tlsengine/tlstest"
)

// naming are all the RPCs that name a session.
func naming(tb testing.TB, c pb.SecureSocketServiceClient, trust pb.TrustServiceClient, s idle) map[string]func(context.Context) error {
	tb.Helper()
	bundle := tlstest.NewCA(tb).DER()
	session := pb.TrustScope_TRUST_SCOPE_SESSION
	unary := func(f func(context.Context) (any, error)) func(context.Context) error {
		return func(ctx context.Context) error { _, err := f(ctx); return err }
	}
	return map[string]func(context.Context) error{
		"GetSession": unary(func(ctx context.Context) (any, error) {
			return c.GetSession(ctx, &pb.GetSessionRequest{SessionId: s.id})
		}),
		"UpdateSession": unary(func(ctx context.Context) (any, error) {
			return c.UpdateSession(ctx, &pb.UpdateSessionRequest{SessionId: s.id, Settings: &pb.SessionSettings{Label: "x"}})
		}),
		"DeleteSession": unary(func(ctx context.Context) (any, error) {
			return c.DeleteSession(ctx, &pb.DeleteSessionRequest{SessionId: s.id})
		}),
		"Connect": unary(func(ctx context.Context) (any, error) {
			return c.Connect(ctx, &pb.ConnectRequest{SessionId: s.id, Host: "127.0.0.1", Port: 1})
		}),
		"Close": unary(func(ctx context.Context) (any, error) { return c.Close(ctx, &pb.CloseRequest{SessionId: s.id}) }),
		"Wait": unary(func(ctx context.Context) (any, error) {
			return c.Wait(ctx, &pb.WaitRequest{SessionId: s.id, Condition: pb.WaitRequest_CONDITION_DISCONNECTED})
		}),
		"AddCertificate": unary(func(ctx context.Context) (any, error) {
			return c.AddCertificate(ctx, &pb.AddCertificateRequest{SessionId: s.id, Certificate: []byte("x")})
		}),
		"GetCertificateStatus": unary(func(ctx context.Context) (any, error) {
			return c.GetCertificateStatus(ctx, &pb.GetCertificateStatusRequest{SessionId: s.id})
		}),
		"ExportKeyingMaterial": unary(func(ctx context.Context) (any, error) {
			return c.ExportKeyingMaterial(ctx, &pb.ExportKeyingMaterialRequest{SessionId: s.id, Label: "EXPERIMENTAL x", Length: 1})
		}),
		"Decide": unary(func(ctx context.Context) (any, error) {
			return c.Decide(ctx, &pb.DecideRequest{SessionId: s.id, Decision: &pb.CertificateDecision{DecisionId: 1}})
		}),
		"Write": unary(func(ctx context.Context) (any, error) {
			return c.Write(ctx, &pb.WriteRequest{SessionId: s.id, Payload: []byte("x")})
		}),
		"Read": func(ctx context.Context) error {
			stream, err := c.Read(ctx, &pb.ReadRequest{SessionId: s.id, Wait: true})
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		},
		"Attach": func(ctx context.Context) error {
			stream, err := c.Attach(ctx)
			if err == nil {
				_ = stream.Send(attachFrame(&pb.AttachSession{SessionId: s.id, ResumeToken: s.token, AttachSeq: 1000}))
				_, err = stream.Recv()
			}
			return err
		},
		"ListCertificates": unary(func(ctx context.Context) (any, error) {
			return trust.ListCertificates(ctx, &pb.ListCertificatesRequest{Scope: session, SessionId: s.id})
		}),
		"AddCertificates": unary(func(ctx context.Context) (any, error) {
			return trust.AddCertificates(ctx, &pb.AddCertificatesRequest{Scope: session, SessionId: s.id, Bundle: bundle})
		}),
		"SetCertificates": unary(func(ctx context.Context) (any, error) {
			return trust.SetCertificates(ctx, &pb.SetCertificatesRequest{Scope: session, SessionId: s.id})
		}),
		"ResetCertificates": unary(func(ctx context.Context) (any, error) {
			return trust.ResetCertificates(ctx, &pb.ResetCertificatesRequest{Scope: session, SessionId: s.id})
		}),
	}
}

// closedLines keeps what the operator's log says of connections that ended.
type closedLines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *closedLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// sent is how many bytes of a session reached the socket; false: it is open.
func (l *closedLines) sent(id string) (int64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range bytes.Lines(l.buf.Bytes()) {
		var entry struct {
			Msg, Session string
			Sent         int64
		}
		if json.Unmarshal(line, &entry) == nil && entry.Msg == "connection closed" && entry.Session == id {
			return entry.Sent, true
		}
	}
	return 0, false
}

func (l *closedLines) option(sc *session.Config, _ *server.Config) {
	sc.Logger = slog.New(slog.NewJSONHandler(l, nil))
}

// The peer does not read: not all that was accepted is written when the grace is
// over, and the owner is told how much.
func TestExpiredWithBytesThatWereNotWritten(t *testing.T) {
	t.Parallel()
	const said = 100_000
	expired := make(chan struct{})
	l := make(listener, 1)
	lines := new(closedLines)
	w := newResumableWorld(t, func(conn *tls.Conn) {
		_, _ = conn.Write(noise()[:said])
		if waits(t, expired) {
			n, err := io.Copy(io.Discard, conn)
			l <- heard{make([]byte, n), err}
		}
	}, lines.option)
	cc := w.svc.Dial(t)
	c, trust := pb.NewSecureSocketServiceClient(cc), pb.NewTrustServiceClient(cc)
	r := &resumer{open: w.open("x", grace(3*time.Second), keepSession), out: noise(), noEnd: true,
		dial: func() (pb.SecureSocketServiceClient, func()) { return c, func() {} }}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = r.run(ctx) })
	r.stuck(t)
	r.eventually(t, func() bool { return len(r.in) == said }, "what the peer says")
	cancel() // cut
	wg.Wait()
	s := idle{r.id, r.token}
	w.detached(t, s)
	v := getSession(t.Context(), t, c, s)
	require.Equal(t, r.accepted, v.GetSentBytes()+v.GetPendingBytes())
	require.Positive(t, v.GetPendingBytes())

	var err error
	require.Eventually(t, func() bool {
		_, err = c.GetSession(t.Context(), &pb.GetSessionRequest{SessionId: s.id})
		_, over := lines.sent(s.id)
		return err != nil && over
	}, patience, 10*time.Millisecond)
	written, _ := lines.sent(s.id)
	require.GreaterOrEqual(t, written, v.GetSentBytes())
	require.Less(t, written, r.accepted)
	want := map[string]string{
		"generation": "1", "accepted_bytes": strconv.FormatInt(r.accepted, 10),
		"written_bytes": strconv.FormatInt(written, 10), "received_bytes": strconv.Itoa(said),
	}
	for name, call := range naming(t, c, trust, s) {
		err := call(t.Context())
		reason, metadata := infoOf(t, err)
		require.Equal(t, "SESSION_EXPIRED", reason, name)
		require.Equal(t, codes.NotFound, status.Code(err), name)
		require.Equal(t, want, metadata, name)
		require.Equal(t, "SESSION_NOT_FOUND", reasonOf(t, call(servertest.As(t.Context(), "thief"))), name)
	}
	list, err := c.ListSessions(t.Context(), &pb.ListSessionsRequest{})
	require.NoError(t, err)
	require.Empty(t, list.GetSessions())
	close(expired)
	h := l.wait(t)
	require.ErrorIs(t, h.err, syscall.ECONNRESET, "the peer does not take a part for the whole")
	require.LessOrEqual(t, int64(len(h.data)), written)
}

// stuck waits until the caller may send no more, because the peer does not read:
// the kernel settles within moments.
func (r *resumer) stuck(tb testing.TB) {
	tb.Helper()
	var limit, same int64
	r.eventually(tb, func() bool {
		if r.limit == limit && r.sent == limit && r.accepted == limit && r.written < limit {
			same++
		} else {
			same = 0
		}
		limit = r.limit
		return same > 100
	}, "no room for more")
}

func TestExpiredWithAllBytesWritten(t *testing.T) {
	t.Parallel()
	l := make(listener, 1)
	w := newResumableWorld(t, l.handle)
	k := w.resumable(t, w.direct, grace(3*time.Second))
	k.secure()
	k.write([]byte("hello"))
	k.until(func() bool { return len(k.data) == 5 })
	require.NoError(t, k.stream.CloseSend())
	require.NoError(t, k.end(), "CloseSend is a detach")
	s := k.session()
	v := getSession(t.Context(), t, w.direct, s)
	require.False(t, v.GetAttached())
	require.Equal(t, pb.State_STATE_ENCRYPTED, v.GetState())
	h := l.wait(t)
	require.NoError(t, h.err, "close_notify")
	require.Equal(t, "hello", string(h.data))
	var err error
	require.Eventually(t, func() bool {
		_, err = w.direct.GetSession(t.Context(), &pb.GetSessionRequest{SessionId: s.id})
		return err != nil
	}, patience, 10*time.Millisecond)
	reason, metadata := infoOf(t, err)
	require.Equal(t, "SESSION_EXPIRED", reason)
	require.Equal(t, map[string]string{"generation": "1", "accepted_bytes": "5", "written_bytes": "5", "received_bytes": "5"}, metadata)
}

// A session is held for longer than its grace, let go, and taken again in time.
func TestAttachWithinTheGraceStopsIt(t *testing.T) {
	t.Parallel()
	w := newResumableWorld(t, tlstest.Echo)
	const kept = 3 * time.Second // in which each stream comes back
	k := w.resumable(t, w.direct, grace(kept))
	k.secure()
	want := ""
	for seq := int64(2); seq < 4; seq++ {
		require.NoError(t, k.stream.CloseSend())
		require.NoError(t, k.end())
		k = k.again(w.direct, func(m *pb.AttachSession) { m.AttachSeq = seq })
		<-time.After(kept + kept/4)
		k.write([]byte("held "))
		want += "held "
		k.until(func() bool { return string(k.data) == want })
	}
	k.finish()
	k.closed()
	k.ack()
	require.NoError(t, k.end())
}
