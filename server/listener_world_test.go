package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/tlsengine/tlstest"
)

var dialer net.Dialer

// listenerName is the name that the listeners of tests have a certificate for.
const listenerName = "server.test"

// listenerWorld is a service with one listener.
type listenerWorld struct {
	tb  testing.TB
	svc *servertest.Service
	c   pb.SecureSocketServiceClient
	lc  pb.ListenerServiceClient
	ca  *tlstest.CA // of the listener's identity; nil: it is plain
	l   *pb.Listener
}

// plainListener has a listener of plain sessions.
func plainListener(tb testing.TB, opts []servertest.Option, change ...func(*pb.ListenRequest)) *listenerWorld {
	tb.Helper()
	svc := servertest.Start(tb, opts...)
	cc := svc.Dial(tb)
	w := &listenerWorld{tb: tb, svc: svc, c: pb.NewSecureSocketServiceClient(cc), lc: pb.NewListenerServiceClient(cc)}
	w.l = w.listen(change...)
	return w
}

// secureListener has a listener of sessions that begin with a handshake.
func secureListener(tb testing.TB, opts []servertest.Option, change ...func(*pb.ListenRequest)) *listenerWorld {
	tb.Helper()
	ca := tlstest.NewCA(tb)
	w := plainListener(tb, opts, append([]func(*pb.ListenRequest){func(m *pb.ListenRequest) {
		m.StartTlsOnAccept, m.Settings = true, having(uploaded(tb, ca.Leaf(tlstest.Names(listenerName))))
	}}, change...)...)
	w.ca = ca
	return w
}

// eitherListener makes a world whose listener is of the one kind, or of the other.
var eitherListener = map[string]func(testing.TB, []servertest.Option, ...func(*pb.ListenRequest)) *listenerWorld{
	"plain": plainListener, "secure": secureListener,
}

// listen makes another listener.
func (w *listenerWorld) listen(change ...func(*pb.ListenRequest)) *pb.Listener {
	w.tb.Helper()
	m := &pb.ListenRequest{Address: "127.0.0.1"}
	for _, f := range change {
		f(m)
	}
	resp, err := w.lc.Listen(w.tb.Context(), m)
	require.NoError(w.tb, err)
	return resp.GetListener()
}

// settling changes the settings of a listener.
func settling(f func(*pb.SessionSettings)) func(*pb.ListenRequest) {
	return func(m *pb.ListenRequest) {
		if m.Settings == nil {
			m.Settings = &pb.SessionSettings{}
		}
		if m.Settings.Tls == nil {
			m.Settings.Tls = &pb.TlsSettings{}
		}
		f(m.Settings)
	}
}

func backlog(n int32) func(*pb.ListenRequest) { return func(m *pb.ListenRequest) { m.Backlog = n } }

func shortGrace(m *pb.ListenRequest) {
	settling(func(s *pb.SessionSettings) { s.DetachGrace = durationpb.New(time.Second) })(m)
}

func resumably(m *pb.ListenRequest) {
	settling(func(s *pb.SessionSettings) { s.Resumable = proto.Bool(true) })(m)
}

// claimWithin sets how long an accepted session may wait to be claimed.
func claimWithin(d time.Duration) servertest.Option {
	return func(sc *session.Config, _ *server.Config) { sc.ClaimTimeout = d }
}

// dialPlain is a peer without TLS.
func (w *listenerWorld) dialPlain() *net.TCPConn {
	w.tb.Helper()
	conn, err := dialer.DialContext(w.tb.Context(), "tcp", localAddr(w.l))
	require.NoError(w.tb, err)
	w.tb.Cleanup(func() { _ = conn.Close() })
	require.NoError(w.tb, conn.SetDeadline(time.Now().Add(patience)))
	return conn.(*net.TCPConn)
}

func (w *listenerWorld) clientConfig(change ...func(*tls.Config)) *tls.Config {
	config := &tls.Config{RootCAs: w.ca.Pool(), ServerName: listenerName}
	for _, f := range change {
		f(config)
	}
	return config
}

// handshake is a peer with TLS, and how its handshake ended.
func (w *listenerWorld) handshake(change ...func(*tls.Config)) (*tls.Conn, error) {
	w.tb.Helper()
	conn := tls.Client(w.dialPlain(), w.clientConfig(change...))
	return conn, conn.HandshakeContext(w.tb.Context())
}

// dial is a peer whose handshake succeeds.
func (w *listenerWorld) dial(change ...func(*tls.Config)) *tls.Conn {
	w.tb.Helper()
	conn, err := w.handshake(change...)
	require.NoError(w.tb, err)
	return conn
}

// acceptance is an Accept under way.
type acceptance struct {
	tb     testing.TB
	stream grpc.ServerStreamingClient[pb.AcceptResponse]
	cancel context.CancelFunc
}

// accept begins an Accept; 0 is the default credit.
func (w *listenerWorld) accept(credit int32) *acceptance {
	w.tb.Helper()
	return w.acceptFrom(w.lc, credit)
}

func (w *listenerWorld) acceptFrom(lc pb.ListenerServiceClient, credit int32) *acceptance {
	w.tb.Helper()
	ctx, cancel := context.WithTimeout(w.tb.Context(), 3*patience) // it outlasts what it gives out
	w.tb.Cleanup(cancel)
	stream, err := lc.Accept(ctx, &pb.AcceptRequest{ListenerId: w.l.GetListenerId(), Credit: credit})
	require.NoError(w.tb, err)
	return &acceptance{w.tb, stream, cancel}
}

// next is the next session that is given out.
func (a *acceptance) next() *pb.AcceptResponse {
	a.tb.Helper()
	got, err := a.stream.Recv()
	require.NoError(a.tb, err)
	return got
}

// take is the IDs of the next n sessions.
func (a *acceptance) take(n int) []string {
	a.tb.Helper()
	var ids []string
	for range n {
		ids = append(ids, a.next().GetSession().GetSessionId())
	}
	return ids
}

// rest is what is given out until the Accept ends, and how it does; nil is OK.
func (a *acceptance) rest() (ids []string, err error) {
	for {
		got, err := a.stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return ids, nil
		case err != nil:
			return ids, err
		}
		ids = append(ids, got.GetSession().GetSessionId())
	}
}

// close closes the listener.
func (w *listenerWorld) close() {
	w.tb.Helper()
	_, err := w.lc.CloseListener(w.tb.Context(), &pb.CloseListenerRequest{ListenerId: w.l.GetListenerId()})
	require.NoError(w.tb, err)
}

// nothingMore closes the listener, and sees that no more was given out.
func (w *listenerWorld) nothingMore(a *acceptance) {
	w.tb.Helper()
	w.close()
	more, err := a.rest()
	require.NoError(w.tb, err)
	require.Empty(w.tb, more, "given out too much")
}

// look returns the listener as it is now.
func (w *listenerWorld) look() *pb.Listener {
	w.tb.Helper()
	resp, err := w.lc.GetListener(w.tb.Context(), &pb.GetListenerRequest{ListenerId: w.l.GetListenerId()})
	require.NoError(w.tb, err)
	return resp.GetListener()
}

// pending waits until so many sessions wait.
func (w *listenerWorld) pending(n int32) {
	w.tb.Helper()
	require.Eventually(w.tb, func() bool { return w.look().GetPendingCount() == n }, patience, 2*time.Millisecond, "pending")
}

// gone waits until the listener is.
func (w *listenerWorld) gone() {
	w.tb.Helper()
	var err error
	require.Eventually(w.tb, func() bool {
		_, err = w.lc.GetListener(w.tb.Context(), &pb.GetListenerRequest{ListenerId: w.l.GetListenerId()})
		return err != nil
	}, patience, 5*time.Millisecond)
	require.Equal(w.tb, "LISTENER_NOT_FOUND", reasonOf(w.tb, err))
}

// sessions are those of the caller, the oldest first.
func (w *listenerWorld) sessions() []*pb.Session {
	w.tb.Helper()
	resp, err := w.c.ListSessions(w.tb.Context(), &pb.ListSessionsRequest{PageSize: 1000})
	require.NoError(w.tb, err)
	return resp.GetSessions()
}

// until waits until the caller's sessions are as they should be.
func (w *listenerWorld) until(condition func([]*pb.Session) bool) {
	w.tb.Helper()
	require.Eventually(w.tb, func() bool { return condition(w.sessions()) }, patience, 5*time.Millisecond, "sessions")
}

// empty waits until the caller has no session.
func (w *listenerWorld) empty() {
	w.tb.Helper()
	w.until(func(all []*pb.Session) bool { return len(all) == 0 })
}

// all is a condition of until.
func all(n int, state pb.State) func([]*pb.Session) bool {
	return func(sessions []*pb.Session) bool {
		for _, s := range sessions {
			if s.GetState() != state {
				return false
			}
		}
		return len(sessions) == n
	}
}

// attach takes an accepted session.
func (w *listenerWorld) attach(got *pb.AcceptResponse) *caller {
	w.tb.Helper()
	k := start(w.tb.Context(), w.tb, w.c, attachFrame(&pb.AttachSession{
		SessionId: got.GetSession().GetSessionId(), ResumeToken: got.GetResumeToken(), AttachSeq: 1,
	}))
	k.until(func() bool { return k.attached != nil })
	return k
}

// talks sees that bytes pass both ways between a peer and a session's caller.
func (w *listenerWorld) talks(peer net.Conn, k *caller) {
	w.tb.Helper()
	have := len(k.data)
	require.NoError(w.tb, peer.SetDeadline(time.Now().Add(patience)))
	_, err := peer.Write([]byte("question"))
	require.NoError(w.tb, err)
	k.until(func() bool { return bytes.Equal(k.data[have:], []byte("question")) })
	k.write([]byte("answer"))
	b := make([]byte, len("answer"))
	_, err = io.ReadFull(peer, b)
	require.NoError(w.tb, err)
	require.Equal(w.tb, "answer", string(b))
}

// closedByService waits for a peer's end that it did not ask for.
func closedByService(tb testing.TB, peer net.Conn) {
	tb.Helper()
	_, err := peer.Read(make([]byte, 1))
	require.Error(tb, err)
	require.NotErrorIs(tb, err, context.DeadlineExceeded)
	ne, ok := errors.AsType[net.Error](err)
	require.False(tb, ok && ne.Timeout(), "the peer was not told: %v", err)
}

// claimingSoon closes soon what is not claimed.
var claimingSoon = []servertest.Option{claimWithin(1500 * time.Millisecond)}

// secured goes on with TLS.
func (w *listenerWorld) secured(raw net.Conn) *tls.Conn {
	w.tb.Helper()
	conn := tls.Client(raw, w.clientConfig())
	require.NoError(w.tb, conn.HandshakeContext(w.tb.Context()))
	return conn
}

// portOf is where a peer comes from.
func portOf(peer net.Conn) int32 {
	return int32(peer.LocalAddr().(*net.TCPAddr).Port) //nolint:gosec // a port
}

// infoReason is reasonOf for what may be an error without one: then it is empty.
func infoReason(err error) string {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}

// refusing waits until nobody listens any more where the listener did.
func (w *listenerWorld) refusing() {
	w.tb.Helper()
	require.Eventually(w.tb, func() bool {
		conn, err := dialer.DialContext(w.tb.Context(), "tcp", localAddr(w.l))
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	}, patience, 5*time.Millisecond, "still listening")
}
