package server_test

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/session/quota"
	"securesocket/tlsengine/tlstest"
)

// memoryGauge is how much memory a process says it has in use, in percent.
type memoryGauge struct{ atomic.Int64 }

func (g *memoryGauge) watched(sc *session.Config) {
	sc.Memory = quota.NewMemory(quota.MemoryConfig{Limit: 100, Every: 1, Sample: g.Load})
}

// Where memory is short nothing new begins, and what there is goes on.
func TestMemoryRefusesWhatIsNew(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	var gauge memoryGauge
	w := plainListener(t, limited(gauge.watched))
	k := open(t, w.c, addr, ca, keepSession)
	k.secure()
	s := newIdle(t.Context(), t, w.c, ca)
	a := w.accept(0)
	first := w.dialPlain()
	accepted := w.attach(a.next())
	host, port := hostPort(t, addr)
	open := &pb.Open{Host: host, Port: port, Certificates: []*pb.ExtraCertificate{{Certificate: ca.DER(), Trusted: true}}}
	sessions := w.svc.Registry.Stats().Sessions

	gauge.Store(85)
	for range 3 {
		_, err := w.c.CreateSession(t.Context(), &pb.CreateSessionRequest{})
		requireNone(t, err, "memory")
		requireNone(t, start(t.Context(), t, w.c, openFrame(open)).end(), "memory")
		_, err = tryConnect(t.Context(), t, w.c, s, addr)
		requireNone(t, err, "memory")
		_, err = tryConnect(t.Context(), t, w.c, k.session(), addr)
		requireNone(t, err, "memory")
		w.turnedAway()
	}
	require.Equal(t, sessions, w.svc.Registry.Stats().Sessions)
	k.write([]byte("goes on"))
	k.until(func() bool { return string(k.data) == "goes on" })
	w.talks(first, accepted)
	again := k.again(w.c) // to come back is nothing new
	again.write([]byte(", and comes back"))
	again.until(func() bool { return string(again.data) == "goes on, and comes back" })

	gauge.Store(82) // calmer, though not yet calm
	_, err := w.c.CreateSession(t.Context(), &pb.CreateSessionRequest{})
	requireNone(t, err, "memory")
	gauge.Store(79)
	create(t, w.c)
	stillWorks(t.Context(), t, w.c, s, addr)
	_, err = tryConnect(t.Context(), t, w.c, k.session(), addr)
	require.NoError(t, err)
}

// A listener is something new.
func TestMemoryRefusesListeners(t *testing.T) {
	t.Parallel()
	var gauge memoryGauge
	w := plainListener(t, limited(gauge.watched))
	gauge.Store(90)
	_, err := w.lc.Listen(t.Context(), &pb.ListenRequest{Address: "127.0.0.1"})
	requireNone(t, err, "memory")
	gauge.Store(0)
	w.listen()
}

// Where memory has run out, whatever no stream holds is given up, however young, and
// whatever kind of session it is; what a stream holds is not.
func TestMemoryShedsWhatIsDetached(t *testing.T) {
	t.Parallel()
	const size = 512 << 10
	var gauge memoryGauge
	svc := servertest.Start(t, limited(gauge.watched)...)
	c := svc.Client(t)
	addr := sending(t, size)
	host, port := hostPort(t, addr)
	held := hoarder(t.Context(), t, c, addr)
	left := hoarder(t.Context(), t, c, addr)
	left.until(func() bool { return len(left.data) == size })
	left.cancel()
	// A session that is connected by a call, and that no stream ever held.
	never := newIdle(t.Context(), t, c, nil, &pb.SessionSettings{Resumable: proto.Bool(true)})
	_, err := c.Connect(t.Context(), &pb.ConnectRequest{SessionId: never.id, Host: host, Port: port, Plain: true})
	require.NoError(t, err)
	require.Greater(t, rests(t, svc), int64(2*size))

	gauge.Store(95)
	for _, s := range []idle{left.session(), never} {
		require.Eventually(t, func() bool {
			_, err = c.GetSession(t.Context(), &pb.GetSessionRequest{SessionId: s.id})
			return err != nil
		}, patience, 5*time.Millisecond)
		require.Equal(t, "SESSION_EXPIRED", reasonOf(t, err))
	}
	held.until(func() bool { return len(held.data) == size })
	require.Equal(t, noise()[:size], held.data)
	deleteAll(t.Context(), t, c)
	givenBack(t, svc)
}

// The same where such a session is the only one: nobody has to leave for it to be found.
func TestMemoryShedsWhatNoStreamEverHeld(t *testing.T) {
	t.Parallel()
	var gauge memoryGauge
	svc := servertest.Start(t, limited(gauge.watched)...)
	c := svc.Client(t)
	host, port := hostPort(t, sending(t, 1<<20))
	var sessions []idle
	for _, resumable := range []bool{true, false} {
		s := newIdle(t.Context(), t, c, nil, &pb.SessionSettings{Resumable: &resumable})
		_, err := c.Connect(t.Context(), &pb.ConnectRequest{SessionId: s.id, Host: host, Port: port, Plain: true})
		require.NoError(t, err)
		sessions = append(sessions, s)
	}
	// One whose connection has ended, with bytes that nobody has read.
	over := newIdle(t.Context(), t, c, nil)
	host, port = hostPort(t, tlstest.ServeRaw(t, func(conn net.Conn) { _, _ = conn.Write(noise()[:64<<10]) }))
	_, err := c.Connect(t.Context(), &pb.ConnectRequest{SessionId: over.id, Host: host, Port: port, Plain: true})
	require.NoError(t, err)
	require.Greater(t, rests(t, svc), int64(2*256<<10))
	gauge.Store(95)
	for _, s := range append(sessions, over) {
		require.Eventually(t, func() bool {
			_, err = c.GetSession(t.Context(), &pb.GetSessionRequest{SessionId: s.id})
			return err != nil
		}, patience, 5*time.Millisecond)
		require.Equal(t, "SESSION_EXPIRED", reasonOf(t, err))
	}
	givenBack(t, svc)
}

// descriptorWorld is a service that has so many descriptors for sessions, of which the
// last quarter is for what lives.
func descriptorWorld(tb testing.TB, limit int64) (*servertest.Service, *quota.Descriptors) {
	tb.Helper()
	d := quota.NewDescriptors(quota.DescriptorsConfig{Soft: 100 + limit, InUse: 50, Reserve: 50, Pressure: 75})
	return servertest.Start(tb, limited(func(sc *session.Config) { sc.Descriptors = d })...), d
}

// Descriptors run out for new connections before they do for anything else.
func TestDescriptorsRefuseWhatIsNew(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	svc, d := descriptorWorld(t, 8)
	c := svc.Client(t)
	var callers []*caller
	for range 6 {
		k := open(t, c, addr, ca, keepSession)
		k.secure()
		callers = append(callers, k)
	}
	s := newIdle(t.Context(), t, c, ca) // which needs none
	for range 3 {
		_, err := tryConnect(t.Context(), t, c, s, addr)
		requireNone(t, err, "descriptors")
		_, err = tryConnect(t.Context(), t, c, callers[0].session(), addr)
		requireNone(t, err, "descriptors")
		host, port := hostPort(t, addr)
		requireNone(t, start(servertest.As(t.Context(), "other"), t, c, openFrame(&pb.Open{Host: host, Port: port})).end(), "descriptors")
	}
	require.EqualValues(t, 6, d.Total())
	for _, k := range callers {
		k.write([]byte("goes on"))
		k.until(func() bool { return string(k.data) == "goes on" })
	}
	_, err := c.DeleteSession(t.Context(), &pb.DeleteSessionRequest{SessionId: callers[5].session().id})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return d.Total() == 5 }, patience, time.Millisecond)
	stillWorks(t.Context(), t, c, s, addr)
	deleteAll(t.Context(), t, c)
	givenBack(t, svc)
	require.Zero(t, d.Total())
}

// Accepted connections have descriptors too: those for which there are none are turned
// away.
func TestDescriptorsOfAcceptedConnections(t *testing.T) {
	t.Parallel()
	d := quota.NewDescriptors(quota.DescriptorsConfig{Soft: 104, InUse: 50, Reserve: 50, Pressure: 75})
	w := plainListener(t, limited(func(sc *session.Config) { sc.Descriptors = d }))
	own := d.Total() // the listener's
	a := w.accept(0)
	var peers []net.Conn
	for d.Total() < 3 {
		before := d.Total()
		peers = append(peers, w.dialPlain())
		require.Eventually(t, func() bool { return d.Total() > before }, patience, time.Millisecond)
	}
	w.turnedAway()
	k := w.attach(a.next())
	require.NotEmpty(t, peers)
	for _, peer := range peers {
		if portOf(peer) == k.attached.GetSession().GetRemote().GetPort() {
			w.talks(peer, k)
		}
	}
	w.close()
	deleteAll(t.Context(), t, w.c)
	givenBack(t, w.svc)
	require.Zero(t, d.Total())
	require.LessOrEqual(t, own, int64(1))
}

// A listener's socket is a descriptor as any other.
func TestDescriptorsOfListeners(t *testing.T) {
	t.Parallel()
	svc, d := descriptorWorld(t, 8)
	lc := pb.NewListenerServiceClient(svc.Dial(t))
	var ids []string
	for range 6 {
		resp, err := lc.Listen(t.Context(), &pb.ListenRequest{Address: "127.0.0.1"})
		require.NoError(t, err)
		ids = append(ids, resp.GetListener().GetListenerId())
	}
	_, err := lc.Listen(t.Context(), &pb.ListenRequest{Address: "127.0.0.1"})
	requireNone(t, err, "descriptors")
	for _, id := range ids {
		_, err := lc.CloseListener(t.Context(), &pb.CloseListenerRequest{ListenerId: id})
		require.NoError(t, err)
	}
	require.Zero(t, d.Total())
}
