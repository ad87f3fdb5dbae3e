package server_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/tlsengine/tlstest"
)

// blockingResolver never answers, and tells that it was asked.
type blockingResolver chan struct{}

func (r blockingResolver) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	r <- struct{}{}
	<-ctx.Done()
	return nil, ctx.Err()
}

// fullBacklog is a listener of which the kernel takes no further connection.
func fullBacklog(tb testing.TB) string {
	tb.Helper()
	if runtime.GOOS != "linux" {
		tb.Skip("only Linux is known to drop a SYN on a full backlog")
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = syscall.Close(fd) })
	require.NoError(tb, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(tb, syscall.Listen(fd, 0))
	sa, err := syscall.Getsockname(fd)
	require.NoError(tb, err)
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(sa.(*syscall.SockaddrInet4).Port))
	for late := 0; ; { // a machine that is slow has one that is not full be late, hardly two
		conn, err := net.DialTimeout("tcp", addr, 200*time.Millisecond)
		if err != nil {
			if late++; late == 2 {
				return addr
			}
			continue
		}
		late = 0
		tb.Cleanup(func() { _ = conn.Close() })
	}
}

// silent is a peer that takes what it gets and never answers.
func silent(tb testing.TB) string {
	tb.Helper()
	return tlstest.ServeRaw(tb, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
}

func TestCancelledConnect(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		state pb.State
		addr  func(testing.TB) string
	}{
		"dns":       {pb.State_STATE_HOST_LOOKUP, func(testing.TB) string { return "name.test:1" }},
		"tcp":       {pb.State_STATE_CONNECTING, fullBacklog},
		"handshake": {pb.State_STATE_HANDSHAKING, silent},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, good := tc.addr(t), ""
			good, ca := echoServer(t)
			c := servertest.Start(t, func(sc *session.Config, _ *server.Config) { sc.Resolver = make(blockingResolver, 9) },
				servertest.AllowEgress(t, "127.0.0.0/8", "name.test")).Client(t)
			s := newIdle(t.Context(), t, c, ca)
			k := attach(t.Context(), t, c, s, 1)
			ctx, cancel := context.WithCancel(t.Context())
			result := make(chan error, 1)
			go func() {
				host, port, _ := net.SplitHostPort(addr)
				n, _ := strconv.ParseInt(port, 10, 32)
				_, err := c.Connect(ctx, &pb.ConnectRequest{SessionId: s.id, Host: host, Port: int32(n)})
				result <- err
			}()
			k.event(tc.state.String()[len("STATE_"):])
			cancel()
			require.Equal(t, codes.Canceled, status.Code(<-result))
			closed := k.closed()
			require.Equal(t, pb.CloseCause_CLOSE_CAUSE_LOCAL, closed.GetCause())
			require.NotContains(t, k.kinds(), "io_error")
			require.NotContains(t, k.kinds(), "remote_closed")
			got := getSession(t.Context(), t, c, s)
			require.Equal(t, pb.State_STATE_UNCONNECTED, got.GetState())
			require.Equal(t, pb.ErrorReason_ERROR_REASON_CANCELLED, got.GetLastError().GetReason())
			stillWorks(t.Context(), t, c, s, good)
		})
	}
}

func TestAnAttemptEndsByOtherCalls(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		end   func(ctx context.Context, c pb.SecureSocketServiceClient, s idle, addr string) error
		cause pb.CloseCause
	}{
		"Close": {func(ctx context.Context, c pb.SecureSocketServiceClient, s idle, _ string) error {
			_, err := c.Close(ctx, &pb.CloseRequest{SessionId: s.id})
			return err
		}, pb.CloseCause_CLOSE_CAUSE_LOCAL},
		"DeleteSession": {func(ctx context.Context, c pb.SecureSocketServiceClient, s idle, _ string) error {
			_, err := c.DeleteSession(ctx, &pb.DeleteSessionRequest{SessionId: s.id})
			return err
		}, pb.CloseCause_CLOSE_CAUSE_DELETED},
		"Connect": {func(ctx context.Context, c pb.SecureSocketServiceClient, s idle, addr string) error {
			host, port, _ := net.SplitHostPort(addr)
			n, _ := strconv.ParseInt(port, 10, 32)
			_, err := c.Connect(ctx, &pb.ConnectRequest{SessionId: s.id, Host: host, Port: int32(n)})
			return err
		}, pb.CloseCause_CLOSE_CAUSE_RECONNECT},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := silent(t)
			good, ca := echoServer(t)
			c := servertest.Start(t).Client(t)
			s := newIdle(t.Context(), t, c, ca)
			k := attach(t.Context(), t, c, s, 1)
			result := make(chan error, 1)
			host, port := hostPort(t, addr)
			go func() {
				_, err := c.Connect(t.Context(), &pb.ConnectRequest{SessionId: s.id, Host: host, Port: port})
				result <- err
			}()
			k.event("HANDSHAKING")
			require.NoError(t, tc.end(t.Context(), c, s, good))
			require.Equal(t, "CANCELLED", reasonOf(t, <-result))
			require.Equal(t, tc.cause, follow(k, 1).GetCause())
		})
	}
}

func TestClocksOfConnecting(t *testing.T) {
	t.Parallel()
	short, long := durationpb.New(300*time.Millisecond), durationpb.New(time.Minute)
	enough := durationpb.New(2 * time.Second) // to come to where it ends
	for name, tc := range map[string]struct {
		addr     func(testing.TB) string
		settings *pb.SessionSettings
		dns      time.Duration
		reason   pb.ErrorReason
		phase    string
		event    pb.Phase
	}{
		"the DNS clock": {
			func(testing.TB) string { return "name.test:1" }, nil, 100 * time.Millisecond,
			pb.ErrorReason_ERROR_REASON_CONNECT_TIMEOUT, "dns", pb.Phase_PHASE_DNS,
		},
		"connect_timeout in DNS": {
			func(testing.TB) string { return "name.test:1" }, &pb.SessionSettings{ConnectTimeout: short}, time.Minute,
			pb.ErrorReason_ERROR_REASON_CONNECT_TIMEOUT, "dns", pb.Phase_PHASE_DNS,
		},
		"a connect_timeout of nothing": { // counts as 250 ms
			func(testing.TB) string { return "name.test:1" }, &pb.SessionSettings{ConnectTimeout: durationpb.New(time.Nanosecond)}, time.Minute,
			pb.ErrorReason_ERROR_REASON_CONNECT_TIMEOUT, "dns", pb.Phase_PHASE_DNS,
		},
		"tcp_timeout": {
			fullBacklog, &pb.SessionSettings{Tcp: &pb.TcpSettings{TcpTimeout: short}, ConnectTimeout: long}, 0,
			pb.ErrorReason_ERROR_REASON_CONNECT_TIMEOUT, "tcp", pb.Phase_PHASE_TCP,
		},
		"connect_timeout in TCP": {
			fullBacklog, &pb.SessionSettings{Tcp: &pb.TcpSettings{TcpTimeout: long}, ConnectTimeout: enough}, 0,
			pb.ErrorReason_ERROR_REASON_CONNECT_TIMEOUT, "tcp", pb.Phase_PHASE_TCP,
		},
		"handshake_timeout": {
			silent, &pb.SessionSettings{Tls: &pb.TlsSettings{HandshakeTimeout: short}, ConnectTimeout: long}, 0,
			pb.ErrorReason_ERROR_REASON_HANDSHAKE_TIMEOUT, "handshake", pb.Phase_PHASE_HANDSHAKE,
		},
		"connect_timeout in the handshake": {
			silent, &pb.SessionSettings{ConnectTimeout: enough}, 0,
			pb.ErrorReason_ERROR_REASON_CONNECT_TIMEOUT, "handshake", pb.Phase_PHASE_HANDSHAKE,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := tc.addr(t)
			c := servertest.Start(t, func(sc *session.Config, _ *server.Config) {
				sc.Resolver, sc.DNSTimeout = make(blockingResolver, 9), tc.dns
			}, servertest.AllowEgress(t, "127.0.0.0/8", "name.test")).Client(t)
			s := newIdle(t.Context(), t, c, nil, tc.settings)
			_, err := tryConnect(t.Context(), t, c, s, addr)
			require.Equal(t, codes.DeadlineExceeded, status.Code(err))
			reason, metadata := infoOf(t, err)
			require.Equal(t, nameOf(tc.reason), reason)
			require.Contains(t, metadata["phase"], tc.phase)
			k := attach(t.Context(), t, c, s, 1)
			closed := k.closed()
			require.Equal(t, tc.reason, closed.GetFailure().GetReason())
			require.Equal(t, pb.CloseCause_CLOSE_CAUSE_ERROR, closed.GetCause())
			require.Equal(t, tc.event, k.event("io_error").GetIoError().GetPhase())
			require.NotContains(t, k.kinds(), "remote_closed")
		})
	}
}
