package server_test

import (
	"crypto/tls"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/tlsengine/tlstest"
)

// hugeChain is what the chain of a huge leaf counts for at least: its DER, without what
// is free.
const hugeChain = hugeCertificates*28<<10 - 32<<10

const hugeCertificates = 4

// huge is a leaf of ca with nearly as much behind it as is judged.
func huge(tb testing.TB, ca *tlstest.CA, options ...tlstest.Option) *tlstest.Identity {
	tb.Helper()
	id := ca.Leaf(append(options, tlstest.Names("127.0.0.1"))...)
	for range hugeCertificates {
		id.Append(ca.Intermediate(tlstest.Padding(28 << 10)).DER())
	}
	return id
}

const ownBuffered, allBuffered = "buffered bytes of a caller", "buffered bytes"

// requireNoRoom wants the LIMIT of a budget, and nothing of a verdict.
func requireNoRoom(tb testing.TB, c pb.SecureSocketServiceClient, s idle, err error, what string, budget int) {
	tb.Helper()
	requireLimit(tb, err, what, strconv.Itoa(budget), true)
	status, err := c.GetCertificateStatus(tb.Context(), &pb.GetCertificateStatusRequest{SessionId: s.id})
	require.NoError(tb, err)
	require.Equal(tb, pb.CertificateStatus_CERTIFICATE_STATUS_UNKNOWN, status.GetStatus())
	require.Empty(tb, status.GetReport().GetPeerChain())
}

// Peers' chains count for the budget, for as long as they are kept. Where there is no room
// for one the handshake ends, and what is usual goes on.
func TestLimitOfBufferedBytesOfChains(t *testing.T) {
	t.Parallel()
	const budget = 8 << 20
	ca := tlstest.NewCA(t)
	usual := serveChain(t, ca.Leaf(tlstest.Names("127.0.0.1")))
	trusted, refused := serveChain(t, huge(t, ca)), serveChain(t, huge(t, ca, tlstest.Expired()))
	for name, tc := range map[string]struct {
		change func(*session.Config)
		what   string
		addr   string
		reason string // of the refusal of the chain; empty: it is trusted
	}{
		"trusted, of a caller":    {func(sc *session.Config) { sc.MaxBufferedPerOwner = budget }, ownBuffered, trusted, ""},
		"trusted, of the service": {func(sc *session.Config) { sc.MaxBuffered = budget }, allBuffered, trusted, ""},
		"refused, of a caller":    {func(sc *session.Config) { sc.MaxBufferedPerOwner = budget }, ownBuffered, refused, "CERTIFICATE_EXPIRED"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			svc := servertest.Start(t, limited(func(sc *session.Config) { tc.change(sc); sc.DetachedShare = 100 })...)
			c := svc.Client(t)
			talking := open(t, c, usual, ca)
			talking.secure()
			connect := func() (idle, error) {
				s := newIdle(t.Context(), t, c, ca)
				_, err := tryConnect(t.Context(), t, c, s, tc.addr)
				return s, err
			}
			var last idle
			kept := 0
			for {
				require.Less(t, kept, budget/hugeChain+1, "more than there is room for")
				s, err := connect()
				require.LessOrEqual(t, svc.Registry.Stats().Buffered, int64(budget))
				if err != nil && reasonOf(t, err) == "LIMIT" {
					requireNoRoom(t, c, s, err, tc.what, budget)
					break
				}
				if tc.reason == "" {
					require.NoError(t, err)
				} else {
					require.Equal(t, tc.reason, reasonOf(t, err))
				}
				kept++
				last = s
			}
			require.GreaterOrEqual(t, kept, budget/hugeChain/8, "the budget is there to be used")

			// As an event of a stream it is the same, and what is usual has room.
			k := open(t, c, tc.addr, ca)
			require.NoError(t, k.end())
			require.Equal(t, pb.ErrorReason_ERROR_REASON_LIMIT, k.closed().GetFailure().GetReason())
			require.NotContains(t, k.kinds(), "certificate_error")
			require.NotContains(t, k.kinds(), "secure_connected")
			stillWorks(t.Context(), t, c, newIdle(t.Context(), t, c, ca), usual)
			talking.write([]byte("goes on"))
			talking.until(func() bool { return string(talking.data) == "goes on" })

			_, err := c.DeleteSession(t.Context(), &pb.DeleteSessionRequest{SessionId: last.id})
			require.NoError(t, err)
			require.Eventually(t, func() bool {
				_, err := connect()
				return err == nil || reasonOf(t, err) == tc.reason
			}, patience, patience/1000, "there is room again")
			deleteAll(t.Context(), t, c)
			givenBack(t, svc)
		})
	}
}

// A chain that its owner is asked about counts before he is, and once.
func TestLimitOfBufferedBytesOfQuestions(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	id := huge(t, ca, tlstest.Expired())
	addr := serveChain(t, id)
	svc := servertest.Start(t, limited(func(sc *session.Config) { sc.MaxBufferedPerOwner = 1500 << 10 })...)
	c := svc.Client(t)
	k := asked(open(t, c, addr, ca, askingOpen()))
	q := k.question(1)
	one := svc.Registry.Stats().Buffered
	require.Greater(t, one, int64(hugeChain))
	second := asked(open(t, c, addr, ca, askingOpen()))
	second.question(1)
	third := open(t, c, addr, ca, askingOpen())
	require.Equal(t, pb.ErrorReason_ERROR_REASON_LIMIT, third.closed().GetFailure().GetReason())

	k.send(decisionFrame(exactly(q)))
	k.secure()
	require.Less(t, svc.Registry.Stats().Buffered, 2*one+hugeChain, "it is the same chain")
	deleteAll(t.Context(), t, c)
	givenBack(t, svc)
}

// Events of connections that are over keep their chains until they are acked.
func TestLimitOfBufferedBytesOfEvents(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	usual := serveChain(t, ca.Leaf(tlstest.Names("127.0.0.1")))
	id := huge(t, ca, tlstest.Expired())
	refused := serveChain(t, id)
	svc := servertest.Start(t)
	c := svc.Client(t)
	s := newIdle(t.Context(), t, c, ca)
	var each int64
	for n := range int64(3) {
		_, err := tryConnect(t.Context(), t, c, s, refused)
		require.Equal(t, "CERTIFICATE_EXPIRED", reasonOf(t, err))
		held := rests(t, svc)
		if n == 0 {
			each = held
			require.Greater(t, each, int64(hugeChain))
		}
		require.Greater(t, held, n*each)
		require.Less(t, held, (n+2)*each, "each chain once")
	}
	connectTo(t.Context(), t, c, s, usual)
	require.Greater(t, rests(t, svc), 2*each, "the events are told of still")
	k := attach(t.Context(), t, c, s, 1)
	k.until(func() bool { return last(k.kinds()) == "secure_connected" })
	failures := 0
	for _, e := range k.events {
		if r := e.GetCertificateError().GetReport(); r != nil {
			require.Len(t, r.GetPeerChain(), len(id.Chain))
			failures++
		}
	}
	require.Equal(t, 3, failures, "none was lost")
	k.send(ackFrame(4, 0, k.events[len(k.events)-1].GetSeq()))
	require.Eventually(t, func() bool { return svc.Registry.Stats().Buffered == 0 }, patience, patience/1000)
	deleteAll(t.Context(), t, c)
	givenBack(t, svc)
}

// Whatever is ended where, what a chain was charged is given back, and what its owner gave
// the session.
func TestLimitOfBufferedBytesIsGivenBackInEveryState(t *testing.T) {
	t.Parallel()
	w := newAbortWorld(t, 2*time.Second, tlstest.Padding(28<<10))
	for _, der := range heavy(tlstest.NewCA(t), 2) {
		w.given = append(w.given, &pb.ExtraCertificate{Certificate: der})
	}
	for _, state := range abortStates {
		for _, by := range aborters {
			c := w.connect()
			l, err := w.reach(t.Context(), c, state)
			require.NoError(t, err)
			atLeast := int64(2 * heavyBytes)
			switch state.name {
			case "decision pending", "encrypted", "half closed", "detached":
				atLeast += 28 << 10
			}
			require.Greater(t, w.svc.Registry.Stats().Buffered, atLeast, state.name)
			if by == "cut" {
				c.cut()
			}
			require.NoError(t, l.abort(by))
			c.cut()
			givenBack(t, w.svc)
		}
	}
}

// The worst that fits into a chain: a URI of three bytes is a structure of two hundred, and
// what is merely large is there several times. What the service has of them, in a process of
// its own, is what the budget says.
func TestLimitOfBufferedBytesOfTheWorstChains(t *testing.T) {
	for name, tc := range map[string]struct {
		behind   tlstest.Option
		sessions int
	}{
		"URIs":    {tlstest.Names(slices.Repeat([]string{"uri:a:b"}, 5000)...), 40},
		"padding": {tlstest.Padding(28 << 10), 120},
	} {
		t.Run(name, func(t *testing.T) { chainsWithinTheBudget(t, tc.behind, tc.sessions) })
	}
}

// chainsWithinTheBudget has sessions with four authorities behind each leaf.
func chainsWithinTheBudget(t *testing.T, behind tlstest.Option, sessions int) {
	t.Helper()
	ca := tlstest.NewCA(t)
	leaf := ca.Leaf(tlstest.Names("127.0.0.1"))
	cfg := serverConfig(leaf)
	cfg.Certificates, cfg.SessionTicketsDisabled = nil, true
	cfg.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { // another each time: what is the same is shared
		id := leaf.Certificate()
		id.Certificate = slices.Clone(id.Certificate)
		for range hugeCertificates {
			id.Certificate = append(id.Certificate, ca.Intermediate(behind).DER())
		}
		return &id, nil
	}
	addr := tlstest.Serve(t, cfg, tlstest.Echo)
	service := startStalledService(t, smallBudget)
	c := pb.NewSecureSocketServiceClient(service.dial())
	empty := service.memory()
	kept := 0
	for range sessions {
		s := newIdle(t.Context(), t, c, ca, &pb.SessionSettings{Tls: &pb.TlsSettings{Trust: &pb.TrustSettings{Base: pb.TrustSettings_BASE_NONE}}})
		// A stream holds it: otherwise it would have to make room for the next.
		k := startFor(t.Context(), stalledLife, t, c, attachFrame(&pb.AttachSession{SessionId: s.id, AttachSeq: 1}))
		k.until(func() bool { return k.attached != nil })
		if _, err := tryConnect(t.Context(), t, c, s, addr); err == nil {
			kept++
		} else {
			require.Equal(t, "LIMIT", reasonOf(t, err))
		}
	}
	n := int64(sessions)
	used, may := service.memory().used()-empty.used(), smallBudget+n*(heldIdle+heldFacts)+heldProcess+stalledConnections*heldConnection
	t.Logf("%d of %d sessions have their chain: %d MiB of %d", kept, sessions, used>>20, may>>20)
	require.LessOrEqual(t, used, may*11/10)
	require.Positive(t, kept)
	require.Less(t, kept, sessions)
}

// Sessions without a stream make room for others with their chains too.
func TestLimitOfBufferedBytesShedsChains(t *testing.T) {
	t.Parallel()
	const budget, sessions = 8 << 20, 5
	ca := tlstest.NewCA(t)
	addr := serveChain(t, huge(t, ca))
	svc := servertest.Start(t, limited(func(sc *session.Config) { sc.MaxBuffered, sc.DetachedShare = budget, 10 })...)
	c := svc.Client(t)
	var first idle
	for i := range sessions {
		s := newIdle(t.Context(), t, c, ca, &pb.SessionSettings{Resumable: proto.Bool(true)})
		connectTo(t.Context(), t, c, s, addr)
		if i == 0 {
			first = s
		}
	}
	require.Eventually(t, func() bool { return svc.Registry.Stats().Buffered <= budget/10 }, patience, patience/1000)
	_, err := c.GetSession(t.Context(), &pb.GetSessionRequest{SessionId: first.id})
	require.Equal(t, "SESSION_EXPIRED", reasonOf(t, err))
	deleteAll(t.Context(), t, c)
	givenBack(t, svc)
}

// A defect in the next connection leaves what is charged for the last one as it is.
func TestLimitOfBufferedBytesAfterADefect(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	addr := serveChain(t, huge(t, ca, tlstest.Expired()))
	svc := servertest.Start(t, servertest.AllowEgress(t), servertest.AllowEgress(t, "127.0.0.0/8", "defect.example"),
		func(c *session.Config, _ *server.Config) { c.Resolver = panicking{} })
	c := svc.Client(t)
	s := newIdle(t.Context(), t, c, ca)
	_, err := tryConnect(t.Context(), t, c, s, addr)
	require.Equal(t, "CERTIFICATE_EXPIRED", reasonOf(t, err))
	held := rests(t, svc)
	require.Greater(t, held, int64(hugeChain))
	_, err = tryConnect(t.Context(), t, c, s, "defect.example:443")
	require.Equal(t, "INTERNAL", reasonOf(t, err))
	require.InDelta(t, held, rests(t, svc), 8<<10, "the events still have it")
	deleteAll(t.Context(), t, c)
	givenBack(t, svc)
}
