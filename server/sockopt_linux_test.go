package server_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
)

// option reads a socket option of the service's side.
func option(tb testing.TB, conn net.Conn, level, name int) int {
	tb.Helper()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	require.NoError(tb, err)
	var value int
	var optErr error
	require.NoError(tb, raw.Control(func(fd uintptr) { value, optErr = unix.GetsockoptInt(int(fd), level, name) }))
	require.NoError(tb, optErr)
	return value
}

func TestSettingsReachTheSocket(t *testing.T) {
	t.Parallel()
	off := false
	for name, tc := range map[string]struct {
		tcp                                    *pb.TcpSettings
		keepAlive, idle, interval, user, delay int
	}{
		"defaults": {nil, 1, 30, 30, 30_000, 1},
		"off":      {&pb.TcpSettings{Keepalive: durationpb.New(0), UserTimeout: durationpb.New(0), NoDelay: &off}, 0, 0, 0, 0, 0},
		"set": {&pb.TcpSettings{Keepalive: durationpb.New(7 * time.Second), UserTimeout: durationpb.New(5 * time.Second)},
			1, 7, 7, 5000, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, ca := echoServer(t)
			dialled := make(chan net.Conn, 1)
			c := servertest.Start(t, func(sc *session.Config, _ *server.Config) {
				sc.Dial = func(ctx context.Context, d *net.Dialer, addr string) (net.Conn, error) {
					conn, err := d.DialContext(ctx, "tcp", addr)
					dialled <- conn
					return conn, err
				}
			}).Client(t)
			k := open(t, c, addr, ca, func(m *pb.Open) { m.Settings = &pb.SessionSettings{Tcp: tc.tcp} })
			k.secure()
			conn := <-dialled
			require.Equal(t, tc.keepAlive, option(t, conn, unix.SOL_SOCKET, unix.SO_KEEPALIVE))
			if tc.keepAlive != 0 {
				require.Equal(t, tc.idle, option(t, conn, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE))
				require.Equal(t, tc.interval, option(t, conn, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL))
			}
			require.Equal(t, tc.user, option(t, conn, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT))
			require.Equal(t, tc.delay, option(t, conn, unix.IPPROTO_TCP, unix.TCP_NODELAY))

			// no_delay takes effect at once.
			turned := tc.delay == 0
			_, err := c.UpdateSession(t.Context(), &pb.UpdateSessionRequest{
				SessionId: k.attached.GetSession().GetSessionId(),
				Settings:  &pb.SessionSettings{Tcp: &pb.TcpSettings{NoDelay: &turned}},
			})
			require.NoError(t, err)
			require.Equal(t, 1-tc.delay, option(t, conn, unix.IPPROTO_TCP, unix.TCP_NODELAY))
		})
	}
}

// Connections from an address that the operator has chosen have their ports for each target, as others have.
func TestPortsFromASourceAreEachTargets(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	dialled := make(chan net.Conn, 1)
	c := servertest.Start(t, func(sc *session.Config, _ *server.Config) {
		sc.Sources = fromSource
		sc.Dial = func(ctx context.Context, d *net.Dialer, addr string) (net.Conn, error) {
			conn, err := d.DialContext(ctx, "tcp", addr)
			dialled <- conn
			return conn, err
		}
	}).Client(t)
	open(t, c, addr, ca).secure()
	require.Equal(t, 1, option(t, <-dialled, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT))
}
