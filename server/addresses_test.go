package server_test

import (
	"context"
	"crypto/tls"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/tlsengine/tlstest"
)

// Names with several addresses: the next is tried when one is dead or silent.
func TestNextAddressIsTried(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	addr := tlstest.Serve(t, serverConfig(ca.Leaf(tlstest.Names("several.example"))), tlstest.Echo)
	_, port := hostPort(t, addr)
	for name, first := range map[string]string{"dead": "127.0.0.2", "silent": "127.0.0.3"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := servertest.Start(t, func(sc *session.Config, _ *server.Config) {
				sc.Resolver = addressList{first, "127.0.0.1"}
				sc.Dial = func(ctx context.Context, d *net.Dialer, addr string) (net.Conn, error) {
					if strings.HasPrefix(addr, "127.0.0.3:") {
						<-ctx.Done()
						return nil, ctx.Err()
					}
					return d.DialContext(ctx, "tcp", addr)
				}
			}).Client(t)
			k := open(t, c, net.JoinHostPort("several.example", strconv.Itoa(int(port))), ca)
			k.secure()
			require.Equal(t, []string{first, "127.0.0.1"}, k.event("host_found").GetHostFound().GetAddresses())
			require.Equal(t, "127.0.0.1", k.event("tcp_connected").GetTcpConnected().GetRemote().GetAddress())
		})
	}
}

func TestAddressFamilyIsObeyed(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	leaf := ca.Leaf(tlstest.Names("both.example"))
	l, err := tls.Listen("tcp", "[::1]:0", serverConfig(leaf))
	if err != nil {
		t.Skip("this machine has no IPv6 loopback")
	}
	defer func() { _ = l.Close() }()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { tlstest.Echo(conn.(*tls.Conn)); _ = conn.Close() }()
		}
	}()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	ns := serveDNS(t, func(string, int64) []string { return []string{"127.0.0.1", "::1"} })
	c := servertest.Start(t, func(sc *session.Config, _ *server.Config) { sc.Resolver = ns.resolver() }).Client(t)
	reach := func(f pb.AddressFamily) *caller {
		return open(t, c, net.JoinHostPort("both.example", port), ca, func(m *pb.Open) {
			m.Settings = &pb.SessionSettings{Tcp: &pb.TcpSettings{AddressFamily: f}}
		})
	}
	reach(pb.AddressFamily_ADDRESS_FAMILY_UNSPECIFIED).secure()
	k := reach(pb.AddressFamily_ADDRESS_FAMILY_IPV6)
	k.secure()
	require.Equal(t, []string{"::1"}, k.event("host_found").GetHostFound().GetAddresses())
	k = reach(pb.AddressFamily_ADDRESS_FAMILY_IPV4)
	require.Equal(t, pb.ErrorReason_ERROR_REASON_CONNECTION_REFUSED, k.closed().GetFailure().GetReason())
	require.Equal(t, []string{"127.0.0.1"}, k.event("host_found").GetHostFound().GetAddresses())
}

// The service's own resolver reads /etc/hosts, which has names without a dot.
func TestLocalhostIsReachedWhereItIsAllowed(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	_, port := hostPort(t, addr)
	k := open(t, servertest.Start(t).Client(t), net.JoinHostPort("localhost", strconv.Itoa(int(port))), ca)
	require.Equal(t, "localhost", k.secure().GetTls().GetServerName())
}
