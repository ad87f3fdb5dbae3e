package session

import (
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/identity"
	"securesocket/tlsengine/tlstest"
	"securesocket/tlsengine/truststore"
)

// heavyGift is an identity that counts; its chain is nobody else's.
func heavyGift(t *testing.T, ca *tlstest.CA) *identity.Identity {
	t.Helper()
	leaf := ca.Leaf(tlstest.Names("gift.test"), tlstest.Padding(28<<10))
	id, err := identity.FromKeyPair(identity.KeyPair{Chain: leaf.Chain, PrivateKey: leaf.KeyPEM()})
	require.NoError(t, err)
	return id
}

func without(s Settings) (Settings, error) {
	s.Identities = nil
	return s, nil
}

// requireGone waits for the collector to find that nobody holds what has been given back.
func requireGone(t *testing.T, r *Registry, what weak.Pointer[x509.Certificate]) {
	t.Helper()
	require.Zero(t, r.buffered.held.Load())
	require.Eventually(t, func() bool { runtime.GC(); return what.Value() == nil }, 10*time.Second, 10*time.Millisecond,
		"it counts for nobody, and is there")
}

// accepted is the one session, once it is that far.
func accepted(t *testing.T, r *Registry, state State) (s *Session) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, s = range r.all() {
			return s.Snapshot().State == state
		}
		return false
	}, 10*time.Second, time.Millisecond)
	return s
}

// An accepted session outlives its listener, and keeps nothing that was given to that.
func TestWhatAListenerWasGivenIsGoneWithIt(t *testing.T) {
	t.Parallel()
	r := NewRegistry(Config{Egress: everywhere{}, Listening: everywhere{}})
	t.Cleanup(r.Close)
	ca := tlstest.NewCA(t)
	s, cert := func() (*Session, weak.Pointer[x509.Certificate]) {
		id := heavyGift(t, ca)
		l, _, err := r.Listen(t.Context(), "owner", ListenArgs{
			Addr: netip.MustParseAddrPort("127.0.0.1:0"), Settings: Settings{Identities: []*identity.Identity{id}},
			Certificates: []truststore.Entry{{Cert: id.Chain()[0]}},
		}, Request{})
		require.NoError(t, err)
		dialListener(t, l)
		s := accepted(t, r, StateConnected)
		require.NoError(t, s.changeCertificates(ResetCertificates))
		_, _, err = s.Update(without)
		require.NoError(t, err)
		require.Positive(t, r.buffered.held.Load(), "the listener has it")
		require.True(t, l.Close())
		return s, weak.Make(id.Chain()[0])
	}()
	requireGone(t, r, cert)
	require.NotEmpty(t, s.Snapshot().Listener)
	require.Equal(t, StateConnected, s.Snapshot().State)
}

// Nobody needs what was shown to a peer once the handshake is over, in either role.
func TestWhatAHandshakeShowedIsGoneWithIt(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	for name, begin := range map[string]func(*testing.T, *Registry, *identity.Identity) *Session{
		"client": func(t *testing.T, r *Registry, id *identity.Identity) *Session {
			addr := netip.MustParseAddrPort(tlstest.Serve(t, &tls.Config{
				Certificates: []tls.Certificate{ca.Leaf(tlstest.Names("127.0.0.1")).Certificate()}, ClientAuth: tls.RequireAnyClientCert,
			}, tlstest.Echo))
			s, _, _, err := r.Create("owner", Settings{Identities: []*identity.Identity{id}}, false, Request{})
			require.NoError(t, err)
			require.NoError(t, s.AddCertificate(ca.Certificate, true))
			a, err := s.Begin(ConnectArgs{Target: Target{Addr: addr.Addr(), Port: int(addr.Port())}}, Request{}, false)
			require.NoError(t, err)
			require.NoError(t, a.Wait(t.Context()))
			return s
		},
		"server": func(t *testing.T, r *Registry, id *identity.Identity) *Session {
			l, _, err := r.Listen(t.Context(), "owner", ListenArgs{
				Addr: netip.MustParseAddrPort("127.0.0.1:0"), StartTLS: true, Settings: Settings{Identities: []*identity.Identity{id}},
			}, Request{})
			require.NoError(t, err)
			conn := tls.Client(dialListener(t, l), &tls.Config{ServerName: "gift.test", RootCAs: ca.Pool()})
			require.NoError(t, conn.HandshakeContext(t.Context()))
			s := accepted(t, r, StateEncrypted)
			s.mu.Lock()
			s.claimLocked()
			s.mu.Unlock()
			require.True(t, l.Close())
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := NewRegistry(Config{Egress: everywhere{}, Listening: everywhere{}})
			t.Cleanup(r.Close)
			s, cert := func() (*Session, weak.Pointer[x509.Certificate]) {
				id := heavyGift(t, ca)
				s := begin(t, r, id)
				require.Positive(t, r.buffered.held.Load())
				_, _, err := s.Update(without)
				require.NoError(t, err)
				return s, weak.Make(id.Chain()[0])
			}()
			requireGone(t, r, cert)
			require.Equal(t, StateEncrypted, s.Snapshot().State)
		})
	}
}
