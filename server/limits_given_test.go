package server_test

import (
	"bytes"
	"crypto/tls"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/session/durable"
	"securesocket/tlsengine/tlstest"
)

// heavyBytes is what a heavy certificate counts for at least: its DER.
const heavyBytes = 28 << 10

// ownGiven is what a gift is refused for that finds no room.
const ownGiven = "buffered bytes for given certificates of a caller"

// heavy are certificates that nobody has yet.
func heavy(ca *tlstest.CA, n int) [][]byte {
	ders := make([][]byte, n)
	for i := range ders {
		ders[i] = ca.Intermediate(tlstest.Padding(heavyBytes)).DER()
	}
	return ders
}

func extra(ders [][]byte) (out []*pb.ExtraCertificate) {
	for _, der := range ders {
		out = append(out, &pb.ExtraCertificate{Certificate: der})
	}
	return out
}

// heavyIdentity has certificates behind its leaf that nobody has yet.
func heavyIdentity(tb testing.TB, ca *tlstest.CA, n int) *pb.Identity {
	tb.Helper()
	return uploaded(tb, ca.Leaf(tlstest.Names(listenerName)).Append(heavy(ca, n)...))
}

// givenWorld is a service whose callers have no room for much.
type givenWorld struct {
	trustClients

	svc *servertest.Service
	lc  pb.ListenerServiceClient
	ca  *tlstest.CA
}

const givenBudget = 1 << 20

func newGivenWorld(tb testing.TB, opts ...servertest.Option) *givenWorld {
	tb.Helper()
	svc := servertest.Start(tb, append(append(limited(func(sc *session.Config) { sc.MaxBufferedPerOwner, sc.DetachedShare = givenBudget, 100 }), systemOf()), opts...)...)
	return &givenWorld{newTrustClients(tb, svc), svc, pb.NewListenerServiceClient(svc.Dial(tb)), tlstest.NewCA(tb)}
}

func (w *givenWorld) buffered() int64 { return w.svc.Registry.Stats().Buffered }

func (w *givenWorld) create(ids ...*pb.Identity) (idle, error) {
	resp, err := w.c.CreateSession(w.tb.Context(), &pb.CreateSessionRequest{Settings: having(ids...)})
	return idle{id: resp.GetSession().GetSessionId()}, err
}

func (w *givenWorld) listen(certificates ...[]byte) (*pb.Listener, error) {
	resp, err := w.lc.Listen(w.tb.Context(), &pb.ListenRequest{Address: "127.0.0.1", Certificates: extra(certificates)})
	return resp.GetListener(), err
}

func (w *givenWorld) delete(s idle) {
	w.tb.Helper()
	_, err := w.c.DeleteSession(w.tb.Context(), &pb.DeleteSessionRequest{SessionId: s.id})
	require.NoError(w.tb, err)
}

// What a caller gives counts for his budget, whichever way he gives it. What finds no room
// is refused and not kept; what is usual has room; neighbours have their own; and whoever
// takes it back has it back.
func TestLimitOfBufferedBytesOfWhatCallersGive(t *testing.T) {
	t.Parallel()
	for name, give := range map[string]func(w *givenWorld) func() error{
		"AddCertificate": func(w *givenWorld) func() error {
			s := newIdle(w.tb.Context(), w.tb, w.c, nil)
			return func() error {
				_, err := w.c.AddCertificate(w.tb.Context(), &pb.AddCertificateRequest{SessionId: s.id, Certificate: heavy(w.ca, 1)[0]})
				return err
			}
		},
		"AddCertificates": func(w *givenWorld) func() error {
			s := newIdle(w.tb.Context(), w.tb, w.c, nil)
			return func() error {
				_, err := w.t.AddCertificates(w.tb.Context(), &pb.AddCertificatesRequest{Scope: ofSession, SessionId: s.id, Bundle: heavy(w.ca, 1)[0], Trusted: true})
				return err
			}
		},
		"SetCertificates": func(w *givenWorld) func() error {
			return func() error {
				s := newIdle(w.tb.Context(), w.tb, w.c, nil)
				_, err := w.t.SetCertificates(w.tb.Context(), &pb.SetCertificatesRequest{Scope: ofSession, SessionId: s.id, Bundle: bytes.Join(heavy(w.ca, 2), nil)})
				return err
			}
		},
		"the defaults": func(w *givenWorld) func() error {
			return func() error {
				_, err := w.t.AddCertificates(w.tb.Context(), &pb.AddCertificatesRequest{Scope: ofDefaults, Bundle: heavy(w.ca, 1)[0]})
				return err
			}
		},
		"open": func(w *givenWorld) func() error {
			addr := serveChain(w.tb, w.ca.Leaf())
			host, port := hostPort(w.tb, addr)
			return func() error {
				k := start(w.tb.Context(), w.tb, w.c, openFrame(&pb.Open{Host: host, Port: port, AttachSeq: 1, Certificates: extra(heavy(w.ca, 2)), KeepSession: true}))
				for k.attached == nil {
					if err := k.next(); err != nil {
						return err
					}
				}
				return nil
			}
		},
		"identities of a new session": func(w *givenWorld) func() error {
			return func() error {
				_, err := w.create(heavyIdentity(w.tb, w.ca, 2))
				return err
			}
		},
		"identities of an update": func(w *givenWorld) func() error {
			return func() error {
				s := newIdle(w.tb.Context(), w.tb, w.c, nil)
				_, err := w.c.UpdateSession(w.tb.Context(), &pb.UpdateSessionRequest{SessionId: s.id, Settings: having(heavyIdentity(w.tb, w.ca, 2))})
				return err
			}
		},
		"a listener": func(w *givenWorld) func() error {
			return func() error {
				_, err := w.listen(heavy(w.ca, 2)...)
				return err
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newGivenWorld(t)
			again := give(w)
			var err error
			kept, before := 0, int64(0)
			for ; err == nil; kept++ {
				require.Less(t, kept, givenBudget/heavyBytes, "more than there is room for")
				before = w.buffered()
				require.LessOrEqual(t, before, int64(givenBudget))
				err = again()
			}
			requireLimit(t, err, ownGiven, strconv.Itoa(givenBudget), false)
			require.Equal(t, before, w.buffered(), "nothing of it is kept")
			require.Greater(t, before, int64(givenBudget*2/3), "the room is there to be used")

			stillWorks(t.Context(), t, w.c, newIdle(t.Context(), t, w.c, w.ca), serveChain(t, w.ca.Leaf(tlstest.Names("127.0.0.1"))))
			other := servertest.As(t.Context(), "other")
			theirs := newIdle(other, t, w.c, nil)
			_, err = w.c.AddCertificate(other, &pb.AddCertificateRequest{SessionId: theirs.id, Certificate: heavy(w.ca, 1)[0]})
			require.NoError(t, err)
			deleteAll(other, t, w.c)

			w.takeAllBack()
			require.Zero(t, w.buffered())
			require.NoError(t, giveMuch(w))
			w.takeAllBack()
			givenBack(t, w.svc)
		})
	}
}

// giveMuch gives a new session most of what fits.
func giveMuch(w *givenWorld) error {
	_, err := w.create(heavyIdentity(w.tb, w.ca, 3), heavyIdentity(w.tb, w.ca, 3))
	return err
}

// takeAllBack leaves the caller nothing.
func (w *givenWorld) takeAllBack() {
	w.tb.Helper()
	ctx := w.tb.Context()
	deleteAll(ctx, w.tb, w.c)
	w.reset(ctx, ofDefaults, "")
	list, err := w.lc.ListListeners(ctx, &pb.ListListenersRequest{PageSize: 1000})
	require.NoError(w.tb, err)
	for _, l := range list.GetListeners() {
		_, err := w.lc.CloseListener(ctx, &pb.CloseListenerRequest{ListenerId: l.GetListenerId()})
		require.NoError(w.tb, err)
	}
	require.Eventually(w.tb, func() bool { return w.svc.Registry.Stats().Connections == 0 }, patience, patience/1000)
}

// What is refused leaves what was there as it was.
func TestLimitOfBufferedBytesIsRefusedWhole(t *testing.T) {
	t.Parallel()
	w := newGivenWorld(t)
	ctx := t.Context()
	s := newIdle(ctx, t, w.c, nil)
	had := heavy(w.ca, 2)
	w.set(ctx, ofSession, s.id, had...)
	mine := heavyIdentity(t, w.ca, 1)
	_, err := w.c.UpdateSession(ctx, &pb.UpdateSessionRequest{SessionId: s.id, Settings: having(mine)})
	require.NoError(t, err)
	held := w.buffered()
	_, err = w.t.SetCertificates(ctx, &pb.SetCertificatesRequest{Scope: ofSession, SessionId: s.id, Bundle: bytes.Join(heavy(w.ca, 30), nil)})
	requireLimit(t, err, ownGiven, strconv.Itoa(givenBudget), false)
	_, err = w.t.SetCertificates(ctx, &pb.SetCertificatesRequest{Scope: ofDefaults, Bundle: bytes.Join(heavy(w.ca, 30), nil)})
	requireLimit(t, err, ownGiven, strconv.Itoa(givenBudget), false)

	require.Equal(t, held, w.buffered())
	list := w.listed(ctx, ofSession, s.id, 0)
	require.Equal(t, []entry{{string(had[0]), true, ofSession}, {string(had[1]), true, ofSession}}, entriesOf(list))
	require.Len(t, getSession(ctx, t, w.c, s).GetSettings().GetTls().GetIdentities(), 1)
	require.Empty(t, w.listed(ctx, ofDefaults, "", 0))

	// What takes its place needs room for what is more alone.
	for range 20 {
		w.set(ctx, ofSession, s.id, heavy(w.ca, 8)...)
	}
	w.set(ctx, ofSession, s.id)
	_, err = w.c.UpdateSession(ctx, &pb.UpdateSessionRequest{SessionId: s.id, Settings: having(uploaded(t, w.ca.Leaf()))})
	require.NoError(t, err)
	require.Zero(t, w.buffered(), "what is left is usual")
}

// Who brings the same certificates with every session has them once, until the last has gone.
func TestLimitOfBufferedBytesOfWhatIsShared(t *testing.T) {
	t.Parallel()
	w := newGivenWorld(t)
	ctx := t.Context()
	ders := heavy(w.ca, 10)
	var all []idle
	var one int64
	for i := range 100 {
		s := newIdle(ctx, t, w.c, nil)
		if i%2 == 0 {
			w.add(ctx, ofSession, s.id, true, ders...)
		} else {
			for _, der := range ders {
				_, err := w.c.AddCertificate(ctx, &pb.AddCertificateRequest{SessionId: s.id, Certificate: der})
				require.NoError(t, err)
			}
		}
		if all = append(all, s); i == 0 {
			one = w.buffered()
			require.Greater(t, one, int64(len(ders)*heavyBytes))
		}
	}
	w.add(ctx, ofDefaults, "", true, ders...)
	require.Less(t, w.buffered(), 2*one)
	for _, s := range all[1:] {
		w.delete(s)
	}
	w.reset(ctx, ofDefaults, "")
	require.Equal(t, one, w.buffered())
	w.delete(all[0])
	require.Zero(t, w.buffered())
}

// Accepted sessions have their listener's certificates and identity, which count once, and
// for the sessions alone once it is closed.
func TestLimitOfBufferedBytesOfListenersIsTheirSessions(t *testing.T) {
	t.Parallel()
	w := newGivenWorld(t)
	ctx := t.Context()
	resp, err := w.lc.Listen(ctx, &pb.ListenRequest{Address: "127.0.0.1", StartTlsOnAccept: true,
		Certificates: extra(heavy(w.ca, 4)), Settings: having(heavyIdentity(t, w.ca, 3))})
	require.NoError(t, err)
	l := resp.GetListener()
	one := w.buffered()
	require.Greater(t, one, int64(7*heavyBytes))
	accept, err := w.lc.Accept(ctx, &pb.AcceptRequest{ListenerId: l.GetListenerId()})
	require.NoError(t, err)
	for range 5 {
		raw, err := dialer.DialContext(ctx, "tcp", localAddr(l))
		require.NoError(t, err)
		conn := tls.Client(raw, &tls.Config{ServerName: listenerName, RootCAs: w.ca.Pool()})
		t.Cleanup(func() { _ = conn.Close() })
		require.NoError(t, conn.HandshakeContext(ctx))
		got, err := accept.Recv()
		require.NoError(t, err)
		_, err = w.c.UpdateSession(ctx, &pb.UpdateSessionRequest{SessionId: got.GetSession().GetSessionId(), Settings: &pb.SessionSettings{Label: "claimed"}})
		require.NoError(t, err)
	}
	require.Equal(t, one, rests(t, w.svc))
	_, err = w.lc.CloseListener(ctx, &pb.CloseListenerRequest{ListenerId: l.GetListenerId()})
	require.NoError(t, err)
	require.Equal(t, one, rests(t, w.svc), "the sessions have it")
	deleteAll(ctx, t, w.c)
	givenBack(t, w.svc)
}

// While a handshake goes on it holds what it was begun with, whatever its caller takes back
// meanwhile, and as long as it does that counts.
func TestLimitOfBufferedBytesOfWhatAHandshakeHolds(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(w *givenWorld, k *asker){
		"accepted": func(_ *givenWorld, k *asker) {
			k.send(decisionFrame(exactly(k.question(1))))
			k.secure()
		},
		"refused": func(_ *givenWorld, k *asker) {
			k.send(decisionFrame(&pb.CertificateDecision{DecisionId: k.question(1).GetDecisionId()}))
			k.closed()
		},
		"deleted": func(w *givenWorld, _ *asker) { deleteAll(w.tb.Context(), w.tb, w.c) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newGivenWorld(t)
			ctx := t.Context()
			w.add(ctx, ofDefaults, "", true, heavy(w.ca, 2)...)
			above := w.buffered()
			addr := serveChain(t, w.ca.Leaf(tlstest.Names("127.0.0.1"), tlstest.Expired()))
			k := asked(open(t, w.c, addr, w.ca, askingOpen(func(m *pb.SessionSettings) {
				m.Tls.DecisionTimeout = durationpb.New(time.Hour)
				m.Tls.Identities = []*pb.Identity{heavyIdentity(t, w.ca, 2)}
			}), func(m *pb.Open) { m.Certificates = append(m.Certificates, extra(heavy(w.ca, 2))...) }))
			k.question(1)
			all := w.buffered()
			require.Greater(t, all, above+4*heavyBytes)
			s := k.session()
			w.reset(ctx, ofDefaults, "")
			w.reset(ctx, ofSession, s.id)
			_, err := w.c.UpdateSession(ctx, &pb.UpdateSessionRequest{SessionId: s.id, Settings: having(uploaded(t, w.ca.Leaf()))})
			require.NoError(t, err)
			require.GreaterOrEqual(t, w.buffered(), all, "it is still there")
			end(w, k)
			if name == "accepted" {
				require.Less(t, rests(t, w.svc), all-above-2*heavyBytes, "crypto/tls has the identity yet")
			}
			deleteAll(ctx, t, w.c)
			givenBack(t, w.svc)
		})
	}
}

// A handshake without a client certificate has nothing of it: what was judged keeps the
// authorities that its path leads through, also when they are no longer trusted.
func TestLimitOfBufferedBytesOfAuthoritiesInReports(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t, tlstest.Padding(heavyBytes))
	addr := serveChain(t, ca.Leaf(tlstest.Names("127.0.0.1")))
	w := newGivenWorld(t)
	s := newIdle(t.Context(), t, w.c, ca)
	for range 3 {
		connectTo(t.Context(), t, w.c, s, addr)
		w.set(t.Context(), ofSession, s.id)
		require.Greater(t, rests(t, w.svc), int64(heavyBytes))
		w.add(t.Context(), ofSession, s.id, true, ca.DER())
	}
	deleteAll(t.Context(), t, w.c)
	givenBack(t, w.svc)
}

// What was kept over a restart counts from its first use on, even beyond the budget: then
// its caller may only have less.
func TestLimitOfBufferedBytesOfWhatWasKept(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	store := durable.Memory()
	w := newGivenWorld(t, keptIn(store))
	w.add(ctx, ofDefaults, "", true, heavy(w.ca, 8)...)
	held := w.buffered()
	for _, budget := range []int64{givenBudget, 8 * heavyBytes} {
		w = newGivenWorld(t, append(limited(func(sc *session.Config) { sc.MaxBufferedPerOwner = budget }), keptIn(store))...)
		require.Zero(t, w.buffered())
		require.Len(t, w.listed(ctx, ofDefaults, "", 0), 8)
		require.Equal(t, held, w.buffered())
	}
	_, err := w.t.AddCertificates(ctx, &pb.AddCertificatesRequest{Scope: ofDefaults, Bundle: heavy(w.ca, 1)[0]})
	requireLimit(t, err, ownGiven, strconv.Itoa(8*heavyBytes), false)
	require.Equal(t, held, w.buffered())
	s := newIdle(ctx, t, w.c, w.ca)
	stillWorks(ctx, t, w.c, s, serveChain(t, w.ca.Leaf(tlstest.Names("127.0.0.1"))))
	w.set(ctx, ofDefaults, "", heavy(w.ca, 1)...)
	require.Less(t, rests(t, w.svc), held/2)
	w.reset(ctx, ofDefaults, "")
	deleteAll(ctx, t, w.c)
	givenBack(t, w.svc)
}

// A disk that is full leaves the count as it was.
func TestLimitOfBufferedBytesOfWhatIsNotKept(t *testing.T) {
	t.Parallel()
	store := durable.Memory()
	w := newGivenWorld(t, keptIn(store))
	w.add(t.Context(), ofDefaults, "", true, heavy(w.ca, 2)...)
	held := w.buffered()
	require.NoError(t, store.Close())
	_, err := w.t.AddCertificates(t.Context(), &pb.AddCertificatesRequest{Scope: ofDefaults, Bundle: heavy(w.ca, 1)[0]})
	require.Equal(t, "INTERNAL", reasonOf(t, err))
	_, err = w.t.ResetCertificates(t.Context(), &pb.ResetCertificatesRequest{Scope: ofDefaults})
	require.Equal(t, "INTERNAL", reasonOf(t, err))
	require.Equal(t, held, w.buffered())
}

// Sessions without a stream make room, also those that were never connected.
func TestLimitOfBufferedBytesShedsWhatWasGiven(t *testing.T) {
	t.Parallel()
	const budget = 8 << 20
	w := newGivenWorld(t, limited(func(sc *session.Config) {
		sc.MaxBuffered, sc.MaxBufferedPerOwner, sc.DetachedShare = budget, budget, 10
	})...)
	shared := heavy(w.ca, 5)
	var last idle
	for range 10 {
		last = newIdle(t.Context(), t, w.c, nil)
		w.add(t.Context(), ofSession, last.id, true, append(heavy(w.ca, 3), shared...)...)
	}
	require.Eventually(t, func() bool { return w.buffered() <= budget/10+2*int64(len(shared))*heavyBytes*3 }, patience, patience/1000)
	require.Positive(t, w.buffered())
	getSession(t.Context(), t, w.c, last)
	deleteAll(t.Context(), t, w.c)
	givenBack(t, w.svc)
}
