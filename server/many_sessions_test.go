package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/tlsengine/tlstest"
)

func TestFiveHundredSessionsAtOnce(t *testing.T) {
	t.Parallel()
	const sessions = 500
	addr, ca := echoServer(t)
	c := servertest.Start(t).Client(t)
	callers := make([]*caller, sessions)
	var g errgroup.Group
	g.SetLimit(16)
	for i := range callers {
		g.Go(func() error {
			callers[i] = open(t, c, addr, ca)
			callers[i].secure()
			return nil
		})
	}
	require.NoError(t, g.Wait())
	list, err := c.ListSessions(t.Context(), &pb.ListSessionsRequest{PageSize: 1000})
	require.NoError(t, err)
	require.Len(t, list.GetSessions(), sessions)
	for i, k := range callers {
		g.Go(func() error {
			want := bytes.Repeat([]byte(fmt.Sprintf("session %d;", i)), 100)
			k.write(want)
			k.until(func() bool { return len(k.data) == len(want) })
			require.Equal(t, want, k.data)
			k.finish()
			return k.end()
		})
	}
	require.NoError(t, g.Wait())
	list, err = c.ListSessions(t.Context(), &pb.ListSessionsRequest{})
	require.NoError(t, err)
	require.Empty(t, list.GetSessions(), "a session without keep_session goes with its socket")
}

// Not parallel: it counts what the process holds.
func TestNothingIsLeftAfterSessionsEndInEveryWay(t *testing.T) {
	const sessions = 1000
	ca := tlstest.NewCA(t)
	leaf := ca.Leaf(tlstest.Names("127.0.0.1"))
	echo := tlstest.Serve(t, serverConfig(leaf), tlstest.Echo)
	ends := map[string]string{
		"close_notify": tlstest.Serve(t, serverConfig(leaf), tlstest.CloseNotify),
		"truncate":     tlstest.Serve(t, serverConfig(leaf), tlstest.Truncate),
		"reset":        tlstest.Serve(t, serverConfig(leaf), tlstest.Reset),
		"alert":        tlstest.Serve(t, serverConfig(leaf), tlstest.FatalAlert),
		"expired":      tlstest.Serve(t, serverConfig(ca.Leaf(tlstest.Names("127.0.0.1"), tlstest.Expired())), func(*tls.Conn) {}),
		"not tls":      tlstest.ServeRaw(t, func(c net.Conn) { _, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")); _ = c.Close() }),
	}
	svc := servertest.Start(t, func(sc *session.Config, _ *server.Config) { sc.DetachGrace = 50 * time.Millisecond })
	c := svc.Client(t)
	endings := []func(){
		func() { // graceful, by CloseSend
			k := open(t, c, echo, ca)
			k.secure()
			require.NoError(t, k.stream.CloseSend())
			require.NoError(t, k.end())
		},
		func() { // cancelled at once
			k := open(t, c, echo, ca)
			k.cancel()
		},
		func() { // cancelled when secure, with bytes on their way
			k := open(t, c, echo, ca)
			k.secure()
			k.write(make([]byte, 100_000))
			k.cancel()
		},
		func() { // aborted
			k := open(t, c, echo, ca)
			k.secure()
			k.send(closeFrame(pb.CloseSocket_HOW_ABORT))
			require.NoError(t, k.end())
		},
		func() { // deleted
			k := open(t, c, echo, ca, func(m *pb.Open) { m.KeepSession = true })
			k.secure()
			_, err := c.DeleteSession(t.Context(), &pb.DeleteSessionRequest{SessionId: k.attached.GetSession().GetSessionId()})
			require.NoError(t, err)
			require.NoError(t, k.end())
		},
		func() { // reconnected, then closed by the unary call
			id := trusting(t, c, ca.DER()).GetSession().GetSessionId()
			host, port := hostPort(t, echo)
			for range 2 {
				_, err := c.Connect(t.Context(), &pb.ConnectRequest{SessionId: id, Host: host, Port: port})
				require.NoError(t, err)
			}
			if _, err := c.Close(t.Context(), &pb.CloseRequest{SessionId: id}); err != nil {
				require.Equal(t, "SESSION_STATE", reasonOf(t, err), "the short detach grace came first")
			}
			_, err := c.DeleteSession(t.Context(), &pb.DeleteSessionRequest{SessionId: id})
			require.NoError(t, err)
		},
		func() { // superseded, then the newer one is cancelled
			k := open(t, c, echo, ca)
			k.secure()
			again := start(t.Context(), t, c, attachFrame(&pb.AttachSession{
				SessionId: k.attached.GetSession().GetSessionId(), ResumeToken: k.attached.GetResumeToken(), AttachSeq: 2,
			}))
			require.Error(t, k.end())
			again.cancel()
		},
		func() { // a breach of the grammar, and nobody comes back
			k := open(t, c, echo, ca)
			k.secure()
			k.send(&pb.AttachRequest{})
			require.Error(t, k.end())
		},
		func() { // idle
			k := open(t, c, echo, ca, func(m *pb.Open) {
				m.Settings = &pb.SessionSettings{IdleTimeout: durationpb.New(20 * time.Millisecond)}
			})
			require.NoError(t, k.end())
		},
		func() { // connected, and no stream comes
			id := trusting(t, c, ca.DER()).GetSession().GetSessionId()
			host, port := hostPort(t, echo)
			_, err := c.Connect(t.Context(), &pb.ConnectRequest{SessionId: id, Host: host, Port: port})
			require.NoError(t, err)
			_, err = c.Wait(t.Context(), &pb.WaitRequest{SessionId: id, Condition: pb.WaitRequest_CONDITION_DISCONNECTED})
			require.NoError(t, err)
			_, err = c.DeleteSession(t.Context(), &pb.DeleteSessionRequest{SessionId: id})
			require.NoError(t, err)
		},
		func() { // never attached, cancelled while connecting
			id := create(t, c)
			ctx, cancel := context.WithCancel(t.Context())
			go cancel()
			host, port := hostPort(t, echo)
			_, _ = c.Connect(ctx, &pb.ConnectRequest{SessionId: id, Host: host, Port: port})
			_, err := c.DeleteSession(t.Context(), &pb.DeleteSessionRequest{SessionId: id})
			require.NoError(t, err)
		},
	}
	for _, addr := range ends {
		endings = append(endings, func() {
			k := open(t, c, addr, ca)
			if k.stream.CloseSend() == nil {
				_ = k.end()
			}
		})
	}
	endings[0]() // what the process makes once is there now
	fds, goroutines := descriptors(t), runtime.NumGoroutine()
	var g errgroup.Group
	g.SetLimit(8)
	for i := range sessions {
		g.Go(func() error { endings[i%len(endings)](); return nil })
	}
	require.NoError(t, g.Wait())
	require.Eventually(t, func() bool {
		list, err := c.ListSessions(t.Context(), &pb.ListSessionsRequest{})
		return err == nil && len(list.GetSessions()) == 0
	}, patience, 10*time.Millisecond)
	require.Eventually(t, func() bool { return descriptors(t) <= fds && runtime.NumGoroutine() <= goroutines+2 }, patience, 50*time.Millisecond,
		"descriptors %d -> %d, goroutines %d -> %d", fds, descriptors(t), goroutines, runtime.NumGoroutine())
}

func descriptors(tb testing.TB) int {
	tb.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		tb.Skip("counts descriptors in /proc")
	}
	return len(entries)
}

// create makes an idle session.
func create(tb testing.TB, c pb.SecureSocketServiceClient) string {
	tb.Helper()
	resp, err := c.CreateSession(tb.Context(), &pb.CreateSessionRequest{})
	require.NoError(tb, err)
	return resp.GetSession().GetSessionId()
}
