// Package servertest runs the whole service inside a test, over an in-memory
// listener, so that tests go through the wire. A caller says who he is by a
// header; everything else is as in the daemon.
//
// For tests only.
package servertest

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/egress"
	"securesocket/server/listening"
	"securesocket/session"
)

// DefaultPrincipal is who a caller is that does not say.
const DefaultPrincipal = "tester"

// Nobody is a principal that the service cannot authenticate.
const Nobody = "nobody"

const principalHeader = "x-test-principal"

// Service is a running service.
type Service struct {
	Registry *session.Registry
	Server   *server.Server
	listener *bufconn.Listener
}

// Option changes the configuration before the service starts.
type Option func(*session.Config, *server.Config)

// AllowEgress replaces the policy's allow list, which by default has the
// loopback addresses.
func AllowEgress(tb testing.TB, rules ...string) Option {
	tb.Helper()
	p, err := egress.New(egress.Config{Allow: rules, HasAllowList: len(rules) > 0})
	require.NoError(tb, err)
	live := new(egress.Live)
	live.Store(p)
	return func(c *session.Config, s *server.Config) { c.Egress, s.Policy = server.Egress(live), live }
}

// AllowListening adds to where callers may listen, which by default is at loopback
// addresses.
func AllowListening(tb testing.TB, rules ...string) Option {
	tb.Helper()
	p, err := listening.New(listening.Config{Allow: rules})
	require.NoError(tb, err)
	return func(c *session.Config, _ *server.Config) { c.Listening = server.Listening(p) }
}

// Start runs a service until the test ends.
func Start(tb testing.TB, opts ...Option) *Service {
	tb.Helper()
	var sc session.Config
	sv := server.Config{Authenticate: byHeader}
	AllowEgress(tb, "127.0.0.0/8", "::1")(&sc, &sv)
	AllowListening(tb)(&sc, &sv)
	for _, o := range opts {
		o(&sc, &sv)
	}
	if sc.DestinationsPerOwner.PerSecond == 0 { // tests have a port for each peer
		sc.DestinationsPerOwner.PerSecond = 1_000_000
	}
	if sc.Ended == nil && sc.Logger != nil {
		sc.Ended = server.AccessLog(sc.Logger)
	}
	registry := session.NewRegistry(sc)
	sv.Registry = registry
	s := &Service{Registry: registry, Server: server.New(sv), listener: bufconn.Listen(1 << 20)}
	done := make(chan error, 1)
	go func() { done <- s.Server.Serve(s.listener) }()
	tb.Cleanup(func() {
		s.Server.Close()
		<-done
	})
	return s
}

func byHeader(ctx context.Context) (string, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	switch v := md.Get(principalHeader); {
	case len(v) == 0:
		return DefaultPrincipal, nil
	case v[0] == Nobody:
		return "", errors.New("nobody")
	default:
		return v[0], nil
	}
}

// As makes the calls of ctx those of a principal.
func As(ctx context.Context, principal string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, principalHeader, principal)
}

// DialContext connects to the service; its address is ignored. It fits
// grpc.WithContextDialer.
func (s *Service) DialContext(ctx context.Context, _ string) (net.Conn, error) {
	return s.listener.DialContext(ctx)
}

// Dial returns an HTTP/2 connection to the service that is closed when the test
// ends.
func (s *Service) Dial(tb testing.TB) *grpc.ClientConn {
	tb.Helper()
	cc, err := grpc.NewClient("passthrough:///service", grpc.WithContextDialer(s.DialContext),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = cc.Close() })
	return cc
}

// Client returns a generated client on a connection of its own.
func (s *Service) Client(tb testing.TB) pb.SecureSocketServiceClient {
	tb.Helper()
	return pb.NewSecureSocketServiceClient(s.Dial(tb))
}
