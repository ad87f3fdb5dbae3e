package door_test

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"securesocket/server/door"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// callerHeader names the caller in tests; RPCs without it are visits.
const callerHeader = "x-test-caller"

func as(ctx context.Context, caller string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, callerHeader, caller)
}

// serve runs a gRPC server behind d and returns its address.
func serve(tb testing.TB, d *door.Door, l net.Listener, creds credentials.TransportCredentials) net.Addr {
	tb.Helper()
	s := grpc.NewServer(grpc.Creds(d.Credentials(creds)), grpc.ConnectionTimeout(5*time.Second), grpc.MaxConcurrentStreams(2048),
		grpc.MaxHeaderListSize(16<<10),
		grpc.InTapHandle(func(ctx context.Context, _ *tap.Info) (context.Context, error) {
			if err := door.FromContext(ctx).Begin(ctx); err != nil {
				return ctx, status.Error(codes.ResourceExhausted, err.Error())
			}
			return ctx, nil
		}),
		grpc.UnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			md, _ := metadata.FromIncomingContext(ctx)
			caller := md.Get(callerHeader)
			if len(caller) == 0 {
				return door.UnaryVisit(ctx, req, info, handler)
			}
			if err := door.FromContext(ctx).Claim(caller[0]); err != nil {
				return nil, status.Error(codes.ResourceExhausted, err.Error())
			}
			return handler(ctx, req)
		}),
		grpc.StreamInterceptor(door.StreamVisit))
	healthpb.RegisterHealthServer(s, health.NewServer())
	done := make(chan error, 1)
	go func() { done <- s.Serve(d.Listener(l)) }()
	tb.Cleanup(func() {
		s.Stop()
		<-done
		require.Zero(tb, d.Stats().Open, "all have left")
	})
	return l.Addr()
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

// client has one connection to addr, from an address of its own if one is given.
func client(tb testing.TB, addr net.Addr, from string, creds credentials.TransportCredentials) healthpb.HealthClient {
	tb.Helper()
	if creds == nil {
		creds = insecure.NewCredentials()
	}
	var dialer net.Dialer
	if from != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	cc, err := grpc.NewClient("passthrough:///"+addr.String(), grpc.WithTransportCredentials(creds),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, addr.Network(), addr.String())
		}))
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = cc.Close() })
	return healthpb.NewHealthClient(cc)
}

func check(ctx context.Context, c healthpb.HealthClient) error {
	_, err := c.Check(ctx, &healthpb.HealthCheckRequest{})
	return err
}

// eventually waits for what the kernel or a timer does.
func eventually(tb testing.TB, f func() bool) {
	tb.Helper()
	require.Eventually(tb, f, 20*time.Second, 2*time.Millisecond)
}
