package server_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/session/proxy/proxytest"
	"securesocket/tlsengine/tlstest"
)

const proxyPassword = "correct horse battery staple"

// proxyKind is a kind of proxy, with what starts one.
type proxyKind struct {
	kind   pb.ProxySettings_Kind
	start  func(testing.TB, ...proxytest.Option) *proxytest.Proxy
	refuse int    // a code that refuses
	code   string // what is in the reply then
}

func eachProxy(t *testing.T, f func(t *testing.T, kind proxyKind)) {
	t.Helper()
	for name, kind := range map[string]proxyKind{
		"HTTP":  {pb.ProxySettings_KIND_HTTP_CONNECT, proxytest.StartHTTP, 403, "403"},
		"SOCKS": {pb.ProxySettings_KIND_SOCKS5, proxytest.StartSOCKS5, 2, "2"},
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); f(t, kind) })
	}
}

// via are settings with a proxy.
func (k proxyKind) via(tb testing.TB, addr string, credentials ...string) *pb.SessionSettings {
	tb.Helper()
	host, port := hostPort(tb, addr)
	m := &pb.ProxySettings{Kind: k.kind, Host: host, Port: port}
	if len(credentials) == 2 {
		m.Username, m.Password = credentials[0], credentials[1]
	}
	return &pb.SessionSettings{Proxy: m}
}

func withSettingsOf(s *pb.SessionSettings) func(*pb.Open) {
	return func(m *pb.Open) { m.Settings = s }
}

// A peer that speaks first, in clear: not a byte of it is lost behind the proxy's answer. Then TLS is entered, and what
// lies behind receive_offset is an injection as without a proxy.
func TestPlainThroughAProxy(t *testing.T) {
	t.Parallel()
	eachProxy(t, func(t *testing.T, kind proxyKind) {
		ca := tlstest.NewCA(t)
		config := &tls.Config{Certificates: []tls.Certificate{ca.Leaf(tlstest.Names("127.0.0.1")).Certificate()}}
		serve := func(agreement string) string {
			return tlstest.ServeRaw(t, func(conn net.Conn) {
				_, _ = io.WriteString(conn, "220 ready\r\n")
				if _, err := io.ReadFull(conn, make([]byte, len(startTLSLine))); err == nil {
					_, _ = io.WriteString(conn, agreement)
					tlstest.Echo(tls.Server(conn, config))
				}
			})
		}
		c := servertest.Start(t).Client(t)
		p := kind.start(t, proxytest.User("u"), proxytest.Password(proxyPassword))
		for agreement, want := range map[string]string{"220 go\r\n": "", "220 go\r\n" + injected: "START_TLS_INJECTION"} {
			addr := serve(agreement)
			k := open(t, c, addr, ca, withSettingsOf(kind.via(t, p.Addr(), "u", proxyPassword)), plainly)
			k.until(func() bool { return string(k.data) == "220 ready\r\n" })
			require.Contains(t, p.Targets(), addr)
			require.Equal(t, p.Addr(), joined(k.event("tcp_connected").GetTcpConnected().GetRemote()))
			k.write([]byte(startTLSLine))
			k.until(func() bool { return len(k.data) == 11+len(agreement) })
			require.Equal(t, want, byFrame.begin(k, c, asClient(19, k.sent))())
			if want != "" {
				k.closed()
				continue
			}
			k.write([]byte("secret"))
			k.until(func() bool { return string(k.data) == "220 ready\r\n220 go\r\nsecret" })
			k.finish()
			require.Equal(t, pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY, k.closed().GetReadCause())
		}
	})
}

// The service asks for TLS through the proxy; the name that is verified is the peer's.
func TestStartTLSProtocolThroughAProxy(t *testing.T) {
	t.Parallel()
	eachProxy(t, func(t *testing.T, kind proxyKind) {
		ca := tlstest.NewCA(t)
		config := &tls.Config{Certificates: []tls.Certificate{ca.Leaf(tlstest.Names("localhost")).Certificate()}}
		addr := tlstest.ServeRaw(t, func(conn net.Conn) {
			lines := bufio.NewReader(conn)
			if agreement, err := smtpDialogue(lines, func(s string) { _, _ = io.WriteString(conn, s) }); err == nil {
				_, _ = io.WriteString(conn, agreement)
				tlstest.Echo(tls.Server(&peeked{conn, lines}, config))
			}
		})
		c := servertest.Start(t).Client(t)
		p := kind.start(t)
		k := open(t, c, addr, ca, withSettingsOf(kind.via(t, p.Addr())), func(m *pb.Open) { m.Host, m.StartTlsProtocol = "localhost", "smtp" })
		require.Equal(t, "220 ready\r\n", string(k.secure().GetGreeting()))
		require.Equal(t, "localhost", k.secure().GetTls().GetServerName())
		require.Equal(t, []string{addr}, p.Targets(), "the address that was judged, not the name")
		k.write([]byte("secret"))
		k.until(func() bool { return string(k.data) == "secret" })
		k.finish()
		k.closed()
	})
}

// How a proxy fails: what it says, and what the policy and the network say of it.
func TestProxiesThatDoNotConnect(t *testing.T) {
	t.Parallel()
	eachProxy(t, func(t *testing.T, kind proxyKind) {
		c := servertest.Start(t).Client(t)
		addr := plainEcho(t)
		guarded := kind.start(t, proxytest.User("u"), proxytest.Password(proxyPassword))
		refusing := kind.start(t, proxytest.Refuse(kind.refuse))
		host, port := hostPort(t, addr)
		connect := func(t *testing.T, settings *pb.SessionSettings, host string, port int32) (string, map[string]string, *pb.Session) {
			t.Helper()
			s := newIdle(t.Context(), t, c, nil, settings)
			_, err := c.Connect(t.Context(), &pb.ConnectRequest{SessionId: s.id, Host: host, Port: port, Plain: true})
			reason, metadata := infoOf(t, err)
			require.NotContains(t, fmt.Sprint(status.Convert(err).Proto()), proxyPassword)
			got := getSession(t.Context(), t, c, s)
			require.Equal(t, reason, nameOf(got.GetLastError().GetReason()))
			require.Equal(t, pb.State_STATE_UNCONNECTED, got.GetState())
			return reason, metadata, got
		}
		reason, metadata, got := connect(t, kind.via(t, refusing.Addr()), host, port)
		require.Equal(t, "PROXY_REFUSED", reason)
		require.Contains(t, metadata["reply"], kind.code)
		require.Equal(t, refusing.Addr(), metadata["proxy"])
		require.Equal(t, pb.CloseCause_CLOSE_CAUSE_ERROR, got.GetCloseCause())
		require.Equal(t, []string{addr}, refusing.Targets())

		for _, wrong := range [][]string{{"u", proxyPassword + "?"}, {"v", proxyPassword}, {}} {
			reason, metadata, _ = connect(t, kind.via(t, guarded.Addr(), wrong...), host, port)
			require.Equal(t, "PROXY_REFUSED", reason)
			require.NotEmpty(t, metadata["reply"], "%v", wrong)
		}
		require.Empty(t, guarded.Targets())

		reason, metadata, _ = connect(t, kind.via(t, closedPort(t)), host, port)
		require.Equal(t, "PROXY_REFUSED", reason)
		require.Equal(t, "tcp", metadata["phase"])
		require.NotEmpty(t, metadata["proxy"])

		reason, _, got = connect(t, kind.via(t, "192.0.2.1:3128"), host, port)
		require.Equal(t, "EGRESS_DENIED", reason, "the proxy")
		require.Equal(t, pb.CloseCause_CLOSE_CAUSE_POLICY, got.GetCloseCause())
		reason, _, _ = connect(t, kind.via(t, guarded.Addr(), "u", proxyPassword), "192.0.2.1", 25)
		require.Equal(t, "EGRESS_DENIED", reason, "the target")
		require.Empty(t, guarded.Targets(), "it was not asked")

		// One that says nothing, and one that hangs up.
		settings := kind.via(t, silent(t))
		settings.ConnectTimeout = durationpb.New(300 * time.Millisecond)
		reason, _, _ = connect(t, settings, host, port)
		require.Equal(t, "CONNECT_TIMEOUT", reason)
		reason, _, _ = connect(t, kind.via(t, tlstest.ServeRaw(t, func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1<<10)) })), host, port)
		require.Equal(t, "PROXY_REFUSED", reason)
		// A proxy cannot reach the peer.
		reason, metadata, _ = connect(t, kind.via(t, guarded.Addr(), "u", proxyPassword), "127.0.0.1", closedPortNumber(t))
		require.Equal(t, "PROXY_REFUSED", reason)
		require.NotEmpty(t, metadata["reply"])
	})
}

func closedPortNumber(tb testing.TB) int32 {
	tb.Helper()
	_, port := hostPort(tb, closedPort(tb))
	return port
}

// A password goes in and never comes out; it stays while the proxy is the same, and goes with it.
func TestProxyPassword(t *testing.T) {
	t.Parallel()
	eachProxy(t, func(t *testing.T, kind proxyKind) {
		addr := plainEcho(t)
		p := kind.start(t, proxytest.User("u"), proxytest.Password(proxyPassword))
		seen, cc := startOverheard(t)
		c, trust := pb.NewSecureSocketServiceClient(cc), pb.NewTrustServiceClient(cc)
		s := newIdle(t.Context(), t, c, nil, kind.via(t, p.Addr(), "u", proxyPassword))
		silentAbout := func(m proto.Message) {
			t.Helper()
			require.NotContains(t, fmt.Sprint(m), proxyPassword)
		}
		works := func() {
			t.Helper()
			connectPlainly(t, c, s, addr)
		}
		works()
		got := getSession(t.Context(), t, c, s)
		silentAbout(got)
		for _, settings := range []*pb.SessionSettings{got.GetSettings(), got.GetEffectiveSettings()} {
			require.Equal(t, "u", settings.GetProxy().GetUsername())
			require.Equal(t, kind.kind, settings.GetProxy().GetKind())
			require.Empty(t, settings.GetProxy().GetPassword())
		}
		list, err := c.ListSessions(t.Context(), &pb.ListSessionsRequest{})
		require.NoError(t, err)
		require.Len(t, list.GetSessions(), 1)
		silentAbout(list)
		update := func(m *pb.SessionSettings, paths ...string) *pb.UpdateSessionResponse {
			t.Helper()
			req := &pb.UpdateSessionRequest{SessionId: s.id, Settings: m}
			if len(paths) > 0 {
				req.UpdateMask = mask(paths...)
			}
			resp, err := c.UpdateSession(t.Context(), req)
			require.NoError(t, err)
			silentAbout(resp)
			return resp
		}
		update(&pb.SessionSettings{Label: "something else"})
		works()
		require.EqualValues(t, 2, update(got.GetSettings(), "*").GetEffectiveGeneration(), "what was shown comes back: nothing has changed")
		works()
		update(got.GetEffectiveSettings())
		works()
		// It goes with its user, and with its proxy, and does not come back with them.
		other, none := proto.CloneOf(got.GetSettings()), &pb.SessionSettings{}
		other.Proxy.Username = "v"
		for _, path := range [][]*pb.SessionSettings{{other}, {none, got.GetSettings()}} {
			update(kind.via(t, p.Addr(), "u", proxyPassword), "proxy")
			for i, m := range path {
				_, err = c.UpdateSession(t.Context(), &pb.UpdateSessionRequest{SessionId: s.id, Settings: m, UpdateMask: mask("proxy")})
				if i < len(path)-1 {
					require.NoError(t, err)
				}
			}
			if kind.kind == pb.ProxySettings_KIND_SOCKS5 { // which has no user without one
				require.Equal(t, "INVALID_FIELD", reasonOf(t, err))
				continue
			}
			require.NoError(t, err)
			_, err = c.Connect(t.Context(), connectRequest(t, s, addr))
			require.Equal(t, "PROXY_REFUSED", reasonOf(t, err))
		}
		update(kind.via(t, p.Addr(), "u", proxyPassword), "proxy")
		works()
		update(nil, "proxy")
		targets := len(p.Targets())
		works()
		require.Len(t, p.Targets(), targets, "there is none")
		_, err = trust.UpdateDefaults(t.Context(), &pb.UpdateDefaultsRequest{Settings: kind.via(t, p.Addr(), "u", proxyPassword)})
		require.Equal(t, "INVALID_FIELD", reasonOf(t, err))
		defaults, err := trust.GetDefaults(t.Context(), &pb.GetDefaultsRequest{})
		require.NoError(t, err)
		require.Nil(t, defaults.GetSettings().GetProxy())

		seen.mu.Lock()
		defer seen.mu.Unlock()
		require.Contains(t, seen.text.String(), "connection closed", "the service is overheard")
		said, shown := shows(seen.text.String(), []byte(proxyPassword))
		require.False(t, shown, "%q", said)
	})
}

func connectRequest(tb testing.TB, s idle, addr string) *pb.ConnectRequest {
	tb.Helper()
	host, port := hostPort(tb, addr)
	return &pb.ConnectRequest{SessionId: s.id, Host: host, Port: port, Plain: true}
}
