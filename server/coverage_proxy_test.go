package server_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/session/proxy/proxytest"
)

// proxied are settings of a proxy, with credentials.
func proxied(t *testing.T, kind pb.ProxySettings_Kind, addr, password string) *pb.SessionSettings {
	t.Helper()
	host, port := hostPort(t, addr)
	return &pb.SessionSettings{Proxy: &pb.ProxySettings{Kind: kind, Host: host, Port: port, Username: "guest", Password: password}}
}

// Connections go through a proxy of either kind, which the policy judges as it does the target.
func TestConnectThroughAProxy(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		kind  pb.ProxySettings_Kind
		start func(testing.TB, ...proxytest.Option) *proxytest.Proxy
	}{
		"HTTP CONNECT": {pb.ProxySettings_KIND_HTTP_CONNECT, proxytest.StartHTTP},
		"SOCKS 5":      {pb.ProxySettings_KIND_SOCKS5, proxytest.StartSOCKS5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, ca := echoServer(t)
			p := tc.start(t, proxytest.User("guest"), proxytest.Password("open sesame"))
			c := servertest.Start(t).Client(t)
			s := newIdle(t.Context(), t, c, ca, proxied(t, tc.kind, p.Addr(), "open sesame"))
			at := connectTo(t.Context(), t, c, s, addr).GetSession()
			require.Equal(t, p.Addr(), joined(at.GetRemote()), "the proxy's")
			require.Equal(t, []string{addr}, p.Targets())
			require.Equal(t, "guest", at.GetSettings().GetProxy().GetUsername())
			require.Empty(t, at.GetSettings().GetProxy().GetPassword(), "it never comes back")
			stillWorks(t.Context(), t, c, s, addr)
			require.Len(t, p.Targets(), 2)

			_, err := tryConnect(t.Context(), t, c, newIdle(t.Context(), t, c, ca, proxied(t, tc.kind, p.Addr(), "wrong")), addr)
			require.Equal(t, "PROXY_REFUSED", reasonOf(t, err))
			_, err = tryConnect(t.Context(), t, c, newIdle(t.Context(), t, c, ca, proxied(t, tc.kind, closedPort(t), "open sesame")), addr)
			require.Equal(t, "PROXY_REFUSED", reasonOf(t, err))
			require.Len(t, p.Targets(), 2)

			// Neither is reached that the policy denies.
			_, err = tryConnect(t.Context(), t, c, s, "192.0.2.1:443")
			require.Equal(t, "EGRESS_DENIED", reasonOf(t, err), "the target")
			_, err = tryConnect(t.Context(), t, c, newIdle(t.Context(), t, c, ca, proxied(t, tc.kind, "192.0.2.1:3128", "open sesame")), addr)
			require.Equal(t, "EGRESS_DENIED", reasonOf(t, err), "the proxy")
			require.Len(t, p.Targets(), 2)
		})
	}
}
