package server_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/metrics"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/tlsengine/tlstest"
)

// battery is a service whose every word is noted, with a hoard of canaries that go through it.
type battery struct {
	*hoard

	t     *testing.T
	heard *transcript
	count *metrics.Metrics
	svc   *servertest.Service
	cc    *grpc.ClientConn
	c     pb.SecureSocketServiceClient

	clients   *tlstest.CA
	good, bad doorman // who knows the clients' authority, and who does not
	calls     atomic.Int64
}

// Targets and ports at which the service has a defect.
const (
	defective     = "defect.example"
	defectivePort = 4242
)

// faulty is a resolver that knows nobody.
type faulty struct{}

func (faulty) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if strings.HasPrefix(host, defective) {
		panic("a defect")
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// faultyListening panics within a handler.
type faultyListening struct{ session.Listening }

func (l faultyListening) CheckListen(addr netip.AddrPort) error {
	if addr.Port() == defectivePort {
		panic("a defect")
	}
	return l.Listening.CheckListen(addr)
}

func newBattery(t *testing.T) *battery {
	t.Helper()
	b := &battery{hoard: newHoard(t), t: t, heard: &transcript{}, count: metrics.New(metrics.Config{Reason: server.ReasonOf}), clients: tlstest.NewCA(t)}
	b.good = serveDoorman(t, tls.VersionTLS13, tls.RequireAndVerifyClientCert, b.clients)
	b.bad = serveDoorman(t, tls.VersionTLS12, tls.RequireAndVerifyClientCert, tlstest.NewCA(t))
	for _, d := range []doorman{b.good, b.bad} { // nobody asks them
		go func() {
			for {
				select {
				case <-d.encounters:
				case <-t.Context().Done():
					return
				}
			}
		}()
	}
	level := &slog.HandlerOptions{Level: slog.LevelDebug}
	log := slog.New(slog.NewMultiHandler(slog.NewTextHandler(b.heard, level), slog.NewJSONHandler(b.heard, level)))
	b.svc = servertest.Start(t, servertest.AllowEgress(t, "127.0.0.0/8", "::1", defective, "nobody.example"), func(sc *session.Config, sv *server.Config) {
		sc.Logger, sv.Logger, sv.Metrics = log, log, b.count
		access := server.AccessLog(log)
		sc.Ended = func(e session.End) { access(e); b.count.Ended(e) }
		sc.Resolver, sc.Listening = faulty{}, faultyListening{sc.Listening}
	})
	cc, err := grpc.NewClient("passthrough:///service", grpc.WithContextDialer(b.svc.DialContext),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithChainUnaryInterceptor(b.showing, b.heard.unary), grpc.WithChainStreamInterceptor(b.showingStream, b.heard.stream))
	require.NoError(t, err)
	t.Cleanup(func() { _ = cc.Close() })
	b.cc, b.c = cc, pb.NewSecureSocketServiceClient(cc)
	return b
}

// bearing shows a token with a call, whatever the service makes of it, and a password for good measure.
func (b *battery) bearing(ctx context.Context) context.Context {
	n := int(b.calls.Add(1))
	word := b.bearers[n%len(b.bearers)]
	scheme := []string{"Bearer ", "bearer ", "Basic ", ""}[n/len(b.bearers)%4]
	return metadata.AppendToOutgoingContext(ctx, "authorization", scheme+word, "x-api-key", word, "cookie", "session="+word)
}

func (b *battery) showing(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return invoke(b.bearing(ctx), method, req, reply, cc, opts...)
}

func (b *battery) showingStream(ctx context.Context, d *grpc.StreamDesc, cc *grpc.ClientConn, method string, stream grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return stream(b.bearing(ctx), d, cc, method, opts...)
}

// through are settings with a proxy.
func (b *battery) through(kind pb.ProxySettings_Kind, addr, password string) *pb.ProxySettings {
	host, port := hostPort(b.t, addr)
	return &pb.ProxySettings{Kind: kind, Host: host, Port: port, Username: "user", Password: password}
}
