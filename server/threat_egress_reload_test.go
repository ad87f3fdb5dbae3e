package server_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/egress"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/session/proxy/proxytest"
	"securesocket/tlsengine/tlstest"
)

// endsOfEcho is an echo peer in clear that tells how each connection ended.
func endsOfEcho(tb testing.TB) (string, <-chan error) {
	tb.Helper()
	ends := make(chan error, 16)
	return tlstest.ServeRaw(tb, func(conn net.Conn) {
		_, err := io.Copy(conn, conn)
		ends <- err
	}), ends
}

// requireReset requires that a peer has seen a reset.
func requireReset(tb testing.TB, ends <-chan error) {
	tb.Helper()
	select {
	case err := <-ends:
		require.ErrorIs(tb, err, syscall.ECONNRESET)
	case <-patienceOf(tb):
		require.Fail(tb, "the peer was not told")
	}
}

// allowsLoopback is a policy under which these tests begin.
func allowsLoopback(tb testing.TB, deny string) *egress.Policy {
	tb.Helper()
	text := "allow: [{to: 127.0.0.0/8}]\n"
	if deny != "" {
		text = "deny: [{to: [" + deny + "], why: revoked}]\n" + text
	}
	return policyOf(tb, text)
}

// requireRevoked requires that a stream tells of the policy's end to its connection.
func requireRevoked(tb testing.TB, k *caller, policy *egress.Policy) {
	tb.Helper()
	told := k.event("security_error").GetSecurityError()
	require.Equal(tb, "deny[0]", told.GetRuleId())
	closed := k.closed()
	require.Equal(tb, pb.CloseCause_CLOSE_CAUSE_POLICY, closed.GetCause())
	for _, failure := range []*pb.Failure{told.GetFailure(), closed.GetFailure()} {
		require.Equal(tb, pb.ErrorReason_ERROR_REASON_EGRESS_DENIED, failure.GetReason())
		require.Equal(tb, policy.Revision(), failure.GetMetadata()["policy_revision"])
	}
}

// echoes sends bytes there and back.
func (k *caller) echoes(text string) {
	k.tb.Helper()
	want := string(k.data) + text
	k.write([]byte(text))
	k.until(func() bool { return string(k.data) == want })
}

// Threat 53. The policy changes while sessions are live: those that it refuses now end
// with its cause, and their peers see a reset; the others go on.
func TestThreat53LiveSessions(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		host string // "" is the address
		tls  bool
		kind pb.ProxySettings_Kind // 0: there is no proxy
		deny string                // PEER and PROXY are their addresses
	}{
		"in clear":          {deny: "PEER"},
		"TLS":               {tls: true, deny: "PEER"},
		"by name":           {host: "gone.example", deny: "gone.example"},
		"below a name":      {host: "a.gone.example", deny: `"*.gone.example"`},
		"name, by address":  {host: "gone.example", deny: "PEER"},
		"SOCKS, the peer":   {kind: pb.ProxySettings_KIND_SOCKS5, deny: "PEER"},
		"CONNECT, the peer": {kind: pb.ProxySettings_KIND_HTTP_CONNECT, tls: true, deny: "PEER"},
		"the proxy itself":  {kind: pb.ProxySettings_KIND_SOCKS5, deny: "PROXY"},
		"proxy, by name":    {kind: pb.ProxySettings_KIND_HTTP_CONNECT, host: "gone.example", deny: "gone.example"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			live, policy := underPolicy(allowsLoopback(t, ""))
			log, logged := noted()
			svc := servertest.Start(t, policy, logged, func(sc *session.Config, _ *server.Config) { sc.Resolver = addressList{insideAddr} })
			c := svc.Client(t)
			ca := tlstest.NewCA(t)
			gone, ends := endsOfEcho(t)
			if tc.tls {
				ended := make(chan error, 1)
				ends = ended
				gone = tlstest.Serve(t, serverConfig(ca.Leaf()), func(conn *tls.Conn) {
					_, err := io.Copy(conn, conn)
					ended <- err
				})
			}
			other, _ := endsOfEcho(t)
			settings, deny := &pb.SessionSettings{}, gone
			if tc.kind != 0 {
				p := map[pb.ProxySettings_Kind]func(testing.TB, ...proxytest.Option) *proxytest.Proxy{
					pb.ProxySettings_KIND_SOCKS5: proxytest.StartSOCKS5, pb.ProxySettings_KIND_HTTP_CONNECT: proxytest.StartHTTP,
				}[tc.kind](t)
				settings = proxyKind{kind: tc.kind}.via(t, p.Addr())
				if tc.deny == "PROXY" {
					deny = p.Addr()
				}
			}
			if tc.deny != "PEER" && tc.deny != "PROXY" {
				deny = tc.deny
			}
			host, port := hostPort(t, gone)
			if tc.host != "" {
				host = tc.host
			}
			k := start(t.Context(), t, c, openFrame(&pb.Open{
				Host: host, Port: port, AttachSeq: 1, Plain: !tc.tls, Settings: settings,
				Certificates: []*pb.ExtraCertificate{{Certificate: ca.Root().DER(), Trusted: true}},
			}))
			k.until(func() bool { return k.attached != nil })
			k.echoes("before")
			stays := open(t, c, other, nil, plainly)
			stays.echoes("before")

			require.Zero(t, svc.Registry.Rejudge(), "nothing has changed")
			after := allowsLoopback(t, deny)
			live.Store(after)
			require.Equal(t, 1, svc.Registry.Rejudge())
			requireRevoked(t, k, after)
			requireReset(t, ends)
			stays.echoes("after")
			require.NotContains(t, stays.kinds(), "security_error")
			require.Eventually(t, func() bool {
				return len(log.lines("connection closed", "reason=EGRESS_DENIED", "rule=deny[0]", "policy="+after.Revision())) == 1
			}, patience, time.Millisecond, "%q", log.lines("connection closed"))

			_, err := c.Connect(t.Context(), &pb.ConnectRequest{SessionId: newIdle(t.Context(), t, c, nil, settings).id, Host: host, Port: port})
			require.Equal(t, "EGRESS_DENIED", reasonOf(t, err))
			require.Zero(t, svc.Registry.Rejudge(), "it has been ended")
		})
	}
}

// A session that nobody is attached to ends too; a listener's guest is nobody's target.
func TestThreat53DetachedAndAccepted(t *testing.T) {
	t.Parallel()
	live, policy := underPolicy(allowsLoopback(t, ""))
	gone, ends := endsOfEcho(t)
	l := plainListener(t, []servertest.Option{policy})
	peer := l.dialPlain()
	given := l.accept(0).next()
	guest := attach(t.Context(), t, l.c, idle{given.GetSession().GetSessionId(), given.GetResumeToken()}, 1)
	c := l.c
	s := newIdle(t.Context(), t, c, nil)
	connectPlainly(t, c, s, gone)
	after := allowsLoopback(t, "127.0.0.0/8")
	live.Store(after)
	require.Equal(t, 1, l.svc.Registry.Rejudge())
	requireReset(t, ends)
	got := getSession(t.Context(), t, c, s)
	require.Equal(t, pb.CloseCause_CLOSE_CAUSE_POLICY, got.GetCloseCause())
	require.Equal(t, pb.ErrorReason_ERROR_REASON_EGRESS_DENIED, got.GetLastError().GetReason())
	_, err := peer.Write([]byte("ping"))
	require.NoError(t, err)
	guest.until(func() bool { return string(guest.data) == "ping" })
}

// A connect that is under way when the policy changes meets the new one, wherever it
// is.
func TestThreat53ConnectUnderWay(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		at      func(w *waypoint, sc *session.Config)
		reached bool // the peer, before
	}{
		"looking the name up": {func(w *waypoint, sc *session.Config) { sc.Resolver = waitingResolver{w} }, false},
		"about to dial": {func(w *waypoint, sc *session.Config) {
			sc.Dial = func(ctx context.Context, d *net.Dialer, addr string) (net.Conn, error) {
				w.wait()
				return d.DialContext(ctx, "tcp", addr)
			}
		}, false},
		"dialled": {func(w *waypoint, sc *session.Config) {
			sc.Dial = func(ctx context.Context, d *net.Dialer, addr string) (net.Conn, error) {
				conn, err := d.DialContext(ctx, "tcp", addr)
				w.wait()
				return conn, err
			}
		}, true},
	} {
		for _, rejudged := range []bool{true, false} {
			t.Run(fmt.Sprint(name, " ", rejudged), func(t *testing.T) {
				t.Parallel()
				live, policy := underPolicy(allowsLoopback(t, ""))
				gone, ends := endsOfEcho(t)
				w := &waypoint{arrived: make(chan struct{}, 1), goOn: make(chan struct{})}
				svc := servertest.Start(t, policy, func(sc *session.Config, _ *server.Config) {
					sc.Resolver = addressList{insideAddr}
					tc.at(w, sc)
				})
				c := svc.Client(t)
				_, port := hostPort(t, gone)
				k := start(t.Context(), t, c, openFrame(&pb.Open{Host: "gone.example", Port: port, Plain: true, AttachSeq: 1}))
				<-w.arrived
				after := allowsLoopback(t, gone)
				live.Store(after)
				if rejudged {
					svc.Registry.Rejudge()
				}
				close(w.goOn)
				requireRevoked(t, k, after)
				require.NotContains(t, k.kinds(), "CONNECTED")
				if tc.reached {
					<-ends
				} else {
					require.Empty(t, ends)
				}
			})
		}
	}
}

// In the handshake, and while a question is with the caller, a connection is live.
func TestThreat53Handshake(t *testing.T) {
	t.Parallel()
	live, policy := underPolicy(allowsLoopback(t, ""))
	svc := servertest.Start(t, policy)
	quiet := silent(t)
	flawed, ends, ca := serveFlawed(t, 0)
	c := svc.Client(t)
	done := connecting(t.Context(), t, c, newIdle(t.Context(), t, c, nil), quiet)
	asking := asked(open(t, c, flawed, ca, askingOpen()))
	asking.question(1)
	require.Eventually(t, func() bool {
		list, err := c.ListSessions(t.Context(), &pb.ListSessionsRequest{})
		require.NoError(t, err)
		handshaking := 0
		for _, s := range list.GetSessions() {
			if s.GetState() == pb.State_STATE_HANDSHAKING {
				handshaking++
			}
		}
		return handshaking >= 1
	}, patience, time.Millisecond)
	after := allowsLoopback(t, "127.0.0.0/8")
	live.Store(after)
	require.Equal(t, 2, svc.Registry.Rejudge())
	require.Equal(t, "EGRESS_DENIED", reasonOf(t, outcome(t, done)))
	requireRevoked(t, asking.caller, after)
	require.Error(t, ends.next(t))
}

// waypoint holds a connect up until the policy has changed.
type waypoint struct{ arrived, goOn chan struct{} }

func (w *waypoint) wait() {
	w.arrived <- struct{}{}
	<-w.goOn
}

type waitingResolver struct{ at *waypoint }

func (r waitingResolver) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	r.at.wait()
	return []netip.Addr{netip.MustParseAddr(insideAddr)}, nil
}
