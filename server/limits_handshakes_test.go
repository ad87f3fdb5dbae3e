package server_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/session/quota"
	"securesocket/tlsengine/tlstest"
)

const ownHandshakes, allHandshakes = "handshakes under way of a caller", "handshakes under way"

// handshakeWorld lets a caller have two handshakes under way, and all of them three.
type handshakeWorld struct {
	svc         *servertest.Service
	cc          *grpc.ClientConn
	c           pb.SecureSocketServiceClient
	descriptors *quota.Descriptors
}

func newHandshakeWorld(tb testing.TB) handshakeWorld {
	tb.Helper()
	w := handshakeWorld{descriptors: quota.NewDescriptors(quota.DescriptorsConfig{Soft: 1000, InUse: 1})}
	w.svc = servertest.Start(tb, func(sc *session.Config, _ *server.Config) {
		sc.MaxHandshakes, sc.MaxHandshakesPerOwner = 3, 2
		sc.Resolver, sc.Descriptors = make(blockingResolver, 99), w.descriptors
	}, servertest.AllowEgress(tb, "127.0.0.0/8", "name.test"))
	w.cc = w.svc.Dial(tb)
	w.c = pb.NewSecureSocketServiceClient(w.cc)
	return w
}

// begins starts a connect of a new session, and does not wait for it.
func (w handshakeWorld) begins(ctx context.Context, tb testing.TB, addr string) (idle, error) {
	tb.Helper()
	s := newIdle(ctx, tb, w.c, nil)
	host, port := hostPort(tb, addr)
	_, err := w.c.Connect(ctx, &pb.ConnectRequest{SessionId: s.id, Host: host, Port: port, ReturnImmediately: true})
	return s, err
}

// ends deletes sessions, and sees that nothing is held any more.
func (w handshakeWorld) ends(ctx context.Context, tb testing.TB, sessions ...idle) {
	tb.Helper()
	for _, s := range sessions {
		_, err := w.c.DeleteSession(ctx, &pb.DeleteSessionRequest{SessionId: s.id})
		require.NoError(tb, err)
	}
}

func (w handshakeWorld) nothingHeld(tb testing.TB) {
	tb.Helper()
	givenBack(tb, w.svc)
	require.Zero(tb, w.descriptors.Total())
}

// Connects count wherever they hang, until they are given up.
func TestLimitOfConnectsThatHang(t *testing.T) {
	t.Parallel()
	for name, hanging := range map[string]func(testing.TB) string{
		"dns":       func(testing.TB) string { return "name.test:1" },
		"tcp":       fullBacklog,
		"handshake": silent,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, addr := newHandshakeWorld(t), hanging(t)
			good, ca := echoServer(t)
			k := open(t, w.c, good, ca, keepSession)
			k.secure()
			require.Zero(t, w.svc.Registry.Stats().Handshakes, "what is up is under way no more")
			var held []idle
			for range 2 {
				s, err := w.begins(t.Context(), t, addr)
				require.NoError(t, err)
				held = append(held, s)
			}
			s, err := w.begins(t.Context(), t, addr)
			requireLimit(t, err, ownHandshakes, "2", true)
			held = append(held, s)
			host, port := hostPort(t, good)
			requireLimit(t, start(t.Context(), t, w.c, openFrame(&pb.Open{Host: host, Port: port})).end(), ownHandshakes, "2", true)

			// A refused Connect leaves the old connection as it is, and so its session.
			before := getSession(t.Context(), t, w.c, k.session())
			_, err = tryConnect(t.Context(), t, w.c, k.session(), good)
			requireLimit(t, err, ownHandshakes, "2", true)
			require.Equal(t, before.GetGeneration(), getSession(t.Context(), t, w.c, k.session()).GetGeneration())
			k.write([]byte("as it was"))
			k.until(func() bool { return string(k.data) == "as it was" })

			// There is one left for everybody else together.
			other := servertest.As(t.Context(), "other")
			theirs, err := w.begins(other, t, addr)
			require.NoError(t, err)
			late, err := w.begins(servertest.As(t.Context(), "third"), t, addr)
			requireLimit(t, err, allHandshakes, "3", true)
			require.EqualValues(t, 3, w.svc.Registry.Stats().Handshakes)

			w.ends(other, t, theirs)
			require.Eventually(t, func() bool { return w.svc.Registry.Stats().Handshakes == 2 }, patience, time.Millisecond)
			w.ends(servertest.As(t.Context(), "third"), t, late)
			w.ends(t.Context(), t, held...)
			require.Eventually(t, func() bool { return w.svc.Registry.Stats().Handshakes == 0 }, patience, time.Millisecond)
			_, err = tryConnect(t.Context(), t, w.c, k.session(), good)
			require.NoError(t, err, "there is room again")
			w.ends(t.Context(), t, k.session())
			w.nothingHeld(t)
		})
	}
}

// An attempt whose clock has run out gives back what it held, without anybody's help.
func TestLimitOfHandshakesEndsWithTheClock(t *testing.T) {
	t.Parallel()
	w, addr := newHandshakeWorld(t), silent(t)
	short := &pb.SessionSettings{Tls: &pb.TlsSettings{HandshakeTimeout: durationpb.New(50 * time.Millisecond)}}
	for range 6 { // three times as many as may be under way
		s := newIdle(t.Context(), t, w.c, nil, short)
		_, err := tryConnect(t.Context(), t, w.c, s, addr)
		require.Equal(t, "HANDSHAKE_TIMEOUT", reasonOf(t, err))
	}
	w.nothingHeld(t)
}

// Entering TLS counts as a handshake; being connected in plain mode does not.
func TestLimitOfStartTLS(t *testing.T) {
	t.Parallel()
	w, addr := newHandshakeWorld(t), silent(t)
	var plain []*caller
	for range 4 {
		k := open(t, w.c, addr, nil, plainly, keepSession)
		k.event("CONNECTED")
		plain = append(plain, k)
	}
	require.Zero(t, w.svc.Registry.Stats().Handshakes)
	var under []<-chan error
	for _, k := range plain[:2] {
		under = append(under, startingTLS(t, w.c, k.session(), asClient(0, 0)))
	}
	require.Eventually(t, func() bool { return w.svc.Registry.Stats().Handshakes == 2 }, patience, time.Millisecond)
	_, err := w.c.StartTls(t.Context(), &pb.StartTlsRequest{SessionId: plain[2].session().id, StartTls: asClient(0, 0)})
	requireLimit(t, err, ownHandshakes, "2", true)
	plain[3].send(startTLSFrame(pb.TlsRole_TLS_ROLE_CLIENT, 0, 0))
	plain[3].until(func() bool { return len(plain[3].refused) > 0 })
	require.Equal(t, pb.ErrorReason_ERROR_REASON_LIMIT, plain[3].refused[0].GetFailure().GetReason())
	for _, k := range plain[2:] {
		require.Equal(t, pb.State_STATE_CONNECTED, getSession(t.Context(), t, w.c, k.session()).GetState(), "as it was")
	}
	for _, k := range plain {
		w.ends(t.Context(), t, k.session())
	}
	for _, done := range under {
		require.Error(t, outcome(t, done))
	}
	w.nothingHeld(t)
}

// Clients of a listener count for its owner; the one too many is turned away, and the
// owner's connections do not notice.
func TestLimitOfAcceptedHandshakes(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	w := newHandshakeWorld(t)
	lc := pb.NewListenerServiceClient(w.cc)
	resp, err := lc.Listen(t.Context(), &pb.ListenRequest{
		Address: "127.0.0.1", StartTlsOnAccept: true, Settings: having(uploaded(t, ca.Leaf(tlstest.Names(listenerName)))),
	})
	require.NoError(t, err)
	lw := &listenerWorld{tb: t, svc: w.svc, c: w.c, lc: lc, ca: ca, l: resp.GetListener()}
	clients := []net.Conn{lw.dialPlain(), lw.dialPlain()} // which say nothing
	lw.pending(2)
	lw.turnedAway()
	_, err = w.begins(t.Context(), t, silent(t))
	requireLimit(t, err, ownHandshakes, "2", true)
	theirs, err := w.begins(servertest.As(t.Context(), "other"), t, silent(t))
	require.NoError(t, err)
	w.ends(servertest.As(t.Context(), "other"), t, theirs)

	a := lw.accept(0)
	_ = clients[0].Close()
	lw.pending(1)
	client := lw.dial()
	k := lw.attach(a.next())
	lw.talks(client, k)
	lw.close()
	require.NoError(t, client.Close())
	k.finish()
	_ = k.end()
	for _, s := range lw.sessions() {
		w.ends(t.Context(), t, idle{id: s.GetSessionId()})
	}
	w.nothingHeld(t)
}
