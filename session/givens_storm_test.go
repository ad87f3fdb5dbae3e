package session

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/identity"
	"securesocket/tlsengine/tlstest"
	"securesocket/tlsengine/truststore"
)

// storm is a service on which many do at once whatever changes what is given.
type storm struct {
	t          *testing.T
	r          *Registry
	certs      []*x509.Certificate
	identities []*identity.Identity
	peers      []netip.AddrPort

	mu     sync.Mutex
	owners map[string]*stormOwner
}

type stormOwner struct {
	sessions  []*Session
	listeners []*Listener
}

func newStorm(t *testing.T) *storm {
	t.Helper()
	ca := tlstest.NewCA(t)
	w := &storm{t: t, owners: map[string]*stormOwner{"a": {}, "b": {}, "c": {}}}
	for range 4 {
		w.certs = append(w.certs, ca.Intermediate(tlstest.Padding(20<<10)).Certificate)
		w.identities = append(w.identities, heavyGift(t, ca))
	}
	w.certs = append(w.certs, ca.Certificate, w.identities[0].Chain()[0])
	leaf := ca.Leaf(tlstest.Names("127.0.0.1")).Certificate()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	for _, addr := range []string{
		tlstest.Serve(t, &tls.Config{Certificates: []tls.Certificate{leaf}, ClientAuth: tls.RequestClientCert}, tlstest.Echo),
		tlstest.Serve(t, &tls.Config{Certificates: []tls.Certificate{leaf}}, tlstest.Reset),
		tlstest.Refusing(t), silent.Addr().String(),
	} {
		w.peers = append(w.peers, netip.MustParseAddrPort(addr))
	}
	w.r = NewRegistry(Config{
		Egress: everywhere{}, Listening: everywhere{},
		// Two owners fill all of it, so that either limit refuses something.
		MaxBuffered: 1 << 20, MaxBufferedPerOwner: 600 << 10, DetachedShare: 90,
	})
	t.Cleanup(w.r.Close)
	return w
}

func someOf[T any](of []T) []T {
	n := rand.IntN(len(of) + 1)
	out := make([]T, n)
	for i, j := range rand.Perm(len(of))[:n] {
		out[i] = of[j]
	}
	return out
}

func (w *storm) entries() (out []truststore.Entry) {
	for _, cert := range someOf(w.certs) {
		out = append(out, truststore.Entry{Cert: cert, Trusted: rand.IntN(2) == 0})
	}
	return out
}

// step has somebody do something, which may be refused.
func (w *storm) step() {
	name := string(rune('a' + rand.IntN(3)))
	w.mu.Lock()
	o := w.owners[name]
	var s *Session
	if n := len(o.sessions); n > 0 {
		s = o.sessions[rand.IntN(n)]
	}
	var l *Listener
	if n := len(o.listeners); n > 0 {
		l = o.listeners[rand.IntN(n)]
	}
	w.mu.Unlock()
	switch n := rand.IntN(16); {
	case n == 0 || s == nil:
		if s, _, _, err := w.r.Create(name, Settings{Identities: someOf(w.identities)}, rand.IntN(2) == 0, Request{}); err == nil {
			w.mu.Lock()
			o.sessions = append(o.sessions, s)
			w.mu.Unlock()
		}
	case n == 1 && rand.IntN(2) == 0:
		w.listen(name, o)
	case n == 2 && l != nil:
		if rand.IntN(3) == 0 {
			l.Close()
		} else if conn, err := net.Dial("tcp", l.local.String()); err == nil {
			w.t.Cleanup(func() { _ = conn.Close() })
		}
	case n <= 4:
		_, _, _ = s.Update(func(set Settings) (Settings, error) {
			set.Identities = someOf(w.identities)
			return set, nil
		})
	case n <= 6:
		var count int
		_ = w.r.ChangeCertificates(name, Scope(rand.IntN(2))+ScopeSession, s.id, AddCertificates(someOf(w.certs), true, &count))
	case n == 7:
		_ = w.r.ChangeCertificates(name, Scope(rand.IntN(2))+ScopeSession, s.id, ResetCertificates)
	case n == 8:
		_ = w.r.ChangeCertificates(name, ScopeSession, s.id, SetCertificates(someOf(w.certs)))
	case n == 9:
		s.Delete()
	case n == 10:
		s.Abandon(Request{}, ErrCancelled)
	case n == 11:
		s.stopConnection(CauseLocal, nil)
	case n == 12:
		w.r.shedOnce(rand.IntN(4) == 0)
	case n == 13:
		_, _ = s.StartTLS(StartTLSArgs{Role: Role(1 + rand.IntN(2))}, Request{}, true)
	default:
		peer := w.peers[rand.IntN(len(w.peers))]
		_, _ = s.Begin(ConnectArgs{Target: Target{Addr: peer.Addr(), Port: int(peer.Port())}, Plain: rand.IntN(4) == 0}, Request{}, true)
	}
}

func (w *storm) listen(name string, o *stormOwner) {
	l, _, err := w.r.Listen(w.t.Context(), name, ListenArgs{
		Addr: netip.MustParseAddrPort("127.0.0.1:0"), Settings: Settings{Identities: someOf(w.identities)},
		Certificates: w.entries(), StartTLS: rand.IntN(2) == 0,
	}, Request{})
	if err != nil {
		return
	}
	go func() {
		_ = l.Accept(w.t.Context(), 4, func(s *Session) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			o.sessions = append(o.sessions, s)
			return nil
		})
	}()
	w.mu.Lock()
	defer w.mu.Unlock()
	o.listeners = append(o.listeners, l)
}

// count is what everything that is held costs, from scratch.
func (w *storm) count() string {
	all := int64(0)
	w.r.mu.Lock()
	defer w.r.mu.Unlock()
	for _, o := range w.r.owners {
		o.givens.mu.Lock()
		defer o.givens.mu.Unlock()
	}
	for name, o := range w.r.owners {
		sum := int64(0)
		for set := range o.givens.sets {
			sum += int64(set.Len()) * entryCost
		}
		for id := range o.givens.identities {
			sum += int64(id.Footprint())
		}
		for cert := range o.givens.certificates {
			sum += certificateCost(cert)
		}
		if sum > o.buffered.held.Load() {
			return fmt.Sprintf("%s holds %d and is charged for %d", name, sum, o.buffered.held.Load())
		}
		all += sum
	}
	if all > w.r.buffered.held.Load() {
		return fmt.Sprintf("all hold %d and are charged for %d", all, w.r.buffered.held.Load())
	}
	return ""
}

// Whatever comes and goes at once, what is given is charged while it is held, and not a
// byte longer.
func TestGivensInAStorm(t *testing.T) {
	t.Parallel()
	w := newStorm(t)
	rounds, steps := 4, 400
	if testing.Short() {
		rounds, steps = 2, 100
	}
	for range rounds {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range steps {
					w.step()
				}
			})
		}
		for range steps / 4 {
			require.Empty(t, w.count())
			runtime.Gosched()
		}
		wg.Wait()
		for _, o := range w.owners {
			for _, l := range o.listeners {
				l.Close()
				<-l.stopped // with the session that it was making
			}
		}
		for _, s := range w.r.all() {
			s.Delete()
		}
		for name := range w.owners {
			require.NoError(t, w.r.ChangeCertificates(name, ScopeDefaults, "", ResetCertificates))
		}
		select {
		case <-w.r.whenIdle(false):
		case <-time.After(30 * time.Second):
			require.Fail(t, "connections do not end")
		}
		require.Empty(t, w.count())
		// A connection is over a moment before what it began with is let go.
		require.Eventually(t, func() bool { return w.r.buffered.held.Load() == 0 }, 30*time.Second, time.Millisecond)
		w.r.mu.Lock()
		owners := maps.Clone(w.r.owners)
		w.r.mu.Unlock()
		for name, o := range owners {
			require.Zero(t, o.buffered.held.Load(), name)
			require.True(t, o.givens.empty(), name)
			require.Empty(t, o.givens.certificates, name)
		}
		for _, o := range w.owners {
			o.sessions, o.listeners = nil, nil
		}
	}
}
