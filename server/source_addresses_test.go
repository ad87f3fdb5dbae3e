package server_test

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/tlsengine/forge"
	"securesocket/tlsengine/tlstest"
)

// sourced is a service whose operator has chosen source addresses, and what it dialled.
type sourced struct {
	pb.SecureSocketServiceClient

	mu     sync.Mutex
	dialed []string              // all that was tried
	from   map[string]netip.Addr // where what came up to a target came from
	ended  chan error            // the failures of connections
}

func startSourced(t *testing.T, sources session.Sources, opts ...servertest.Option) *sourced {
	t.Helper()
	s := &sourced{from: make(map[string]netip.Addr), ended: make(chan error, 64)}
	s.SecureSocketServiceClient = servertest.Start(t, append(opts, func(sc *session.Config, _ *server.Config) {
		sc.Sources = sources
		sc.Ended = func(e session.End) { s.ended <- e.Failure }
		sc.Dial = func(ctx context.Context, d *net.Dialer, addr string) (net.Conn, error) {
			conn, err := d.DialContext(ctx, "tcp", addr)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.dialed = append(s.dialed, addr)
			if err == nil {
				s.from[addr] = conn.LocalAddr().(*net.TCPAddr).AddrPort().Addr()
			}
			return conn, err
		}
	})...).Client(t)
	return s
}

// came is from where each target that was reached has been.
func (s *sourced) came() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]string)
	for target, from := range s.from {
		out[target] = from.String()
	}
	return out
}

func (s *sourced) tried() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.dialed...)
}

// sourceAddr is an address of every machine that the kernel would not choose.
const sourceAddr = "127.0.0.9"

var fromSource = session.Sources{IPv4: netip.MustParseAddr(sourceAddr)}

// Whatever is dialled comes from the operator's address: for callers and for the service.
func TestEveryDialIsFromTheSource(t *testing.T) {
	t.Parallel()
	t.Run("a target, and what its chain names", func(t *testing.T) {
		t.Parallel()
		ca, p := tlstest.NewCA(t), publish(t)
		addr := evidence{crl: listing(forge.List{}, false), ocsp: answered(forge.Answer{})}.serve(t, ca, p)
		s := startSourced(t, fromSource)
		_, err := tryConnect(t.Context(), t, s, newIdle(t.Context(), t, s, ca, checking(hard)), addr)
		require.NoError(t, err)
		require.Equal(t, map[string]string{addr: sourceAddr, "127.0.0.1:" + p.port: sourceAddr}, s.came())
	})
	t.Run("as the peer sees it", func(t *testing.T) {
		t.Parallel()
		seen := make(chan string, 1)
		host, port := hostPort(t, tlstest.ServeRaw(t, func(conn net.Conn) { seen <- conn.RemoteAddr().String() }))
		s := startSourced(t, fromSource)
		_, err := s.Connect(t.Context(), &pb.ConnectRequest{SessionId: newIdle(t.Context(), t, s, nil).id, Host: host, Port: port, Plain: true})
		require.NoError(t, err)
		from, _ := hostPort(t, <-seen)
		require.Equal(t, sourceAddr, from)
	})
	t.Run("a Flash policy file", func(t *testing.T) {
		t.Parallel()
		addr := policyPeer(t, `<cross-domain-policy><allow-access-from domain="*" to-ports="*"/></cross-domain-policy>`)
		host, port := hostPort(t, addr)
		s := startSourced(t, fromSource, flashy(t))
		_, err := s.Connect(t.Context(), &pb.ConnectRequest{SessionId: newIdle(t.Context(), t, s, nil).id, Host: host, Port: port, Plain: true})
		require.NoError(t, err)
		require.Greater(t, len(s.tried()), 1, "the file, and the target")
		require.Equal(t, map[string]string{addr: sourceAddr}, s.came())
	})
	eachProxy(t, func(t *testing.T, kind proxyKind) {
		t.Helper()
		addr, ca := echoServer(t)
		proxy := kind.start(t)
		s := startSourced(t, fromSource)
		_, err := tryConnect(t.Context(), t, s, newIdle(t.Context(), t, s, ca, kind.via(t, proxy.Addr())), addr)
		require.NoError(t, err)
		require.Equal(t, map[string]string{proxy.Addr(): sourceAddr}, s.came())
	})
}

// A family that the operator has no address for is not dialled: the wall around the other would not see it.
func TestFamilyWithoutASourceIsNotDialled(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	_, port := hostPort(t, addr)
	for name, c := range map[string]struct {
		sources session.Sources
		host    string
	}{
		"IPv4 alone": {fromSource, "::1"},
		"IPv6 alone": {session.Sources{IPv6: netip.IPv6Loopback()}, "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startSourced(t, c.sources)
			_, err := s.Connect(t.Context(), &pb.ConnectRequest{SessionId: newIdle(t.Context(), t, s, nil).id, Host: c.host, Port: port, Plain: true})
			require.Equal(t, "NETWORK_UNREACHABLE", reasonOf(t, err))
			var blamed *session.SourceError
			require.ErrorAs(t, <-s.ended, &blamed)
			require.False(t, blamed.Addr.IsValid())
			require.Equal(t, c.host == "::1", blamed.IPv6)
			require.Empty(t, s.tried())
		})
	}
	t.Run("a name with both", func(t *testing.T) {
		t.Parallel()
		s := startSourced(t, fromSource, servertest.AllowEgress(t, "127.0.0.0/8", "::1", "localhost"), func(sc *session.Config, _ *server.Config) {
			sc.Resolver = addressList{"::1", "127.0.0.1"}
		})
		_, err := s.Connect(t.Context(), &pb.ConnectRequest{SessionId: newIdle(t.Context(), t, s, ca).id, Host: "localhost", Port: port})
		require.NoError(t, err)
		require.Equal(t, []string{addr}, s.tried())
	})
	t.Run("where a chain leads", func(t *testing.T) {
		t.Parallel()
		ca := tlstest.NewCA(t)
		peer := serveChain(t, ca.Leaf(forge.CRLDistributionPoint("http://[::1]:8080/crl"), forge.OCSPServer("http://[::1]:8080/ocsp")))
		s := startSourced(t, fromSource)
		_, err := tryConnect(t.Context(), t, s, newIdle(t.Context(), t, s, ca, checking(hard)), peer)
		require.Equal(t, "REVOCATION_UNAVAILABLE", reasonOf(t, err))
		require.Equal(t, []string{peer}, s.tried())
	})
}

// An address that the machine has lost is the operator's matter, and nothing is dialled from another.
func TestSourceThatIsGone(t *testing.T) {
	t.Parallel()
	addr, _ := echoServer(t)
	host, port := hostPort(t, addr)
	gone := netip.MustParseAddr("192.0.2.10")
	s := startSourced(t, session.Sources{IPv4: gone})
	_, err := s.Connect(t.Context(), &pb.ConnectRequest{SessionId: newIdle(t.Context(), t, s, nil).id, Host: host, Port: port, Plain: true})
	reason, metadata := infoOf(t, err)
	require.Equal(t, "LOCAL_RESOURCES", reason)
	require.Equal(t, addr, metadata["address"])
	var blamed *session.SourceError
	require.ErrorAs(t, <-s.ended, &blamed)
	require.Equal(t, gone, blamed.Addr)
	require.False(t, blamed.IPv6)
	require.Empty(t, s.came())
}
