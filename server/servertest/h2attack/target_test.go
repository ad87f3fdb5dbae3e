package h2attack_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/door"
	"securesocket/server/servertest"
	"securesocket/server/servertest/h2attack"
	"securesocket/session"
	"securesocket/tlsengine/tlstest"
)

// target is a server with one who uses it well.
type target struct {
	dial h2attack.Dialer
	path string                      // of the method that is attacked
	call func(context.Context) error // by a caller with a connection of his own

	guarded bool // there is a door in front
}

func listen(tb testing.TB, network string) net.Listener {
	tb.Helper()
	addr := "127.0.0.1:0"
	if network == "unix" {
		addr = filepath.Join(tb.TempDir(), "s")
	}
	l, err := net.Listen(network, addr)
	require.NoError(tb, err)
	return l
}

// plain is grpc-go with the limits that the service has, alone or behind guard.
func plain(tb testing.TB, network string, ca *tlstest.CA, guard *door.Door) target {
	tb.Helper()
	l := listen(tb, network)
	server, client := insecure.NewCredentials(), insecure.NewCredentials()
	dial := func() (net.Conn, error) { return net.Dial(network, l.Addr().String()) }
	if ca != nil {
		server = credentials.NewTLS(&tls.Config{
			Certificates: []tls.Certificate{ca.Leaf().Certificate()}, MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"},
		})
		pool := x509.NewCertPool()
		pool.AddCert(ca.Certificate)
		cfg := &tls.Config{RootCAs: pool, ServerName: "localhost", MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}}
		client = credentials.NewTLS(cfg)
		dial = func() (net.Conn, error) { return tls.Dial(network, l.Addr().String(), cfg) }
	}
	var behind net.Listener = l
	if guard != nil {
		behind, server = guard.Listener(l), guard.Credentials(server)
	}
	s := grpc.NewServer(grpc.Creds(server), grpc.UnaryInterceptor(door.UnaryVisit), grpc.StreamInterceptor(door.StreamVisit),
		grpc.MaxConcurrentStreams(2048), grpc.MaxHeaderListSize(16<<10), grpc.MaxRecvMsgSize(4<<20),
		grpc.ConnectionTimeout(time.Second), grpc.StaticStreamWindowSize(256<<10), grpc.StaticConnWindowSize(4<<20),
		grpc.WriteBufferSize(64<<10),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: 15 * time.Minute, Time: 20 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}))
	healthpb.RegisterHealthServer(s, health.NewServer())
	done := make(chan error, 1)
	go func() { done <- s.Serve(behind) }()
	tb.Cleanup(func() {
		s.Stop()
		<-done
	})
	cc, err := grpc.NewClient("passthrough:///"+l.Addr().String(), grpc.WithTransportCredentials(client),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		}))
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = cc.Close() })
	return target{dial: dial, guarded: guard != nil, path: healthpb.Health_Check_FullMethodName, call: func(ctx context.Context) error {
		_, err := healthpb.NewHealthClient(cc).Check(ctx, &healthpb.HealthCheckRequest{})
		return err
	}}
}

// product is the service, at a listener of the network, alone or behind guard.
func product(tb testing.TB, network string, guard *door.Door) target {
	tb.Helper()
	l := listen(tb, network)
	var behind net.Listener = l
	var opts []servertest.Option
	if guard != nil {
		behind = guard.Listener(l)
		opts = append(opts, func(_ *session.Config, sv *server.Config) {
			sv.Options = append(sv.Options, grpc.Creds(guard.Credentials(insecure.NewCredentials())))
			authenticate := sv.Authenticate
			sv.Authenticate = func(ctx context.Context) (string, error) {
				principal, err := authenticate(ctx)
				if err != nil {
					return "", err
				}
				return principal, door.FromContext(ctx).Claim(principal)
			}
		})
	}
	s := servertest.Start(tb, opts...)
	done := make(chan error, 1)
	go func() { done <- s.Server.Serve(behind) }()
	tb.Cleanup(func() {
		s.Server.Close()
		<-done
	})
	cc, err := grpc.NewClient("passthrough:///"+l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		}))
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = cc.Close() })
	return target{
		dial: func() (net.Conn, error) { return net.Dial(network, l.Addr().String()) },
		path: pb.SecureSocketService_GetCapabilities_FullMethodName,
		call: func(ctx context.Context) error {
			_, err := pb.NewSecureSocketServiceClient(cc).GetCapabilities(ctx, &pb.GetCapabilitiesRequest{})
			return err
		},
		guarded: guard != nil,
	}
}

// targets are all that is attacked.
func targets(tb testing.TB) map[string]func(testing.TB) target {
	tb.Helper()
	return map[string]func(testing.TB) target{
		"grpc-go, TLS":                    func(tb testing.TB) target { return plain(tb, "tcp", tlstest.NewCA(tb), nil) },
		"grpc-go behind a door, TLS":      func(tb testing.TB) target { return plain(tb, "tcp", tlstest.NewCA(tb), door.New(door.Config{})) },
		"the service, TCP":                func(tb testing.TB) target { return product(tb, "tcp", nil) },
		"the service behind a door, Unix": func(tb testing.TB) target { return product(tb, "unix", door.New(door.Config{})) },
	}
}
