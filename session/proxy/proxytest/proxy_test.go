package proxytest_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"securesocket/session/proxy"
	"securesocket/session/proxy/proxytest"
	"securesocket/tlsengine/secret"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type start func(testing.TB, ...proxytest.Option) *proxytest.Proxy

// bothKinds runs a test with each kind of proxy.
func bothKinds(t *testing.T, run func(t *testing.T, kind proxy.Kind, start start)) {
	t.Helper()
	t.Run("HTTP", func(t *testing.T) { t.Parallel(); run(t, proxy.HTTPConnect, proxytest.StartHTTP) })
	t.Run("SOCKS5", func(t *testing.T) { t.Parallel(); run(t, proxy.SOCKS5, proxytest.StartSOCKS5) })
}

// ask connects to the proxy and asks it.
func ask(t *testing.T, p *proxytest.Proxy, cfg proxy.Config, target string) (*net.TCPConn, error) {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.TCPConn), proxy.Ask(t.Context(), conn, cfg, netip.MustParseAddrPort(target))
}

func TestSplicesBothWaysAndHalfCloses(t *testing.T) {
	t.Parallel()
	bothKinds(t, func(t *testing.T, kind proxy.Kind, start start) {
		const banner = "220 ready\r\n"
		echo := tlstest.ServeRaw(t, func(conn net.Conn) {
			_, _ = io.WriteString(conn, banner)
			_, _ = io.Copy(conn, conn)
		})
		p := start(t)
		conn, err := ask(t, p, proxy.Config{Kind: kind}, echo)
		require.NoError(t, err)
		sent := strings.Repeat("x", 1<<20)
		go func() {
			_, _ = io.WriteString(conn, sent)
			_ = conn.CloseWrite()
		}()
		got, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.True(t, string(got) == banner+sent)
		require.Equal(t, []string{echo}, p.Targets())
	})
}

func TestHandsOnAReset(t *testing.T) {
	t.Parallel()
	bothKinds(t, func(t *testing.T, kind proxy.Kind, start start) {
		peer := tlstest.ServeRaw(t, func(conn net.Conn) {
			_, _ = conn.Read(make([]byte, 1))
			_ = conn.(*net.TCPConn).SetLinger(0)
		})
		conn, err := ask(t, start(t), proxy.Config{Kind: kind}, peer)
		require.NoError(t, err)
		_, err = conn.Write([]byte("x"))
		require.NoError(t, err)
		_, err = conn.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET)
	})
}

func TestWantsCredentials(t *testing.T) {
	t.Parallel()
	bothKinds(t, func(t *testing.T, kind proxy.Kind, start start) {
		peer := tlstest.ServeRaw(t, func(net.Conn) {})
		p := start(t, proxytest.User("u"), proxytest.Password("p"))
		for _, cfg := range []proxy.Config{{Kind: kind}, {Kind: kind, Username: "u", Password: secret.FromString("q")}, {Kind: kind, Username: "v", Password: secret.FromString("p")}} {
			_, err := ask(t, p, cfg, peer)
			var refused *proxy.RefusedError
			require.ErrorAs(t, err, &refused)
			require.True(t, refused.Auth)
		}
		require.Empty(t, p.Targets())
		_, err := ask(t, p, proxy.Config{Kind: kind, Username: "u", Password: secret.FromString("p")}, peer)
		require.NoError(t, err)
		require.Equal(t, []string{peer}, p.Targets())
	})
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	bothKinds(t, func(t *testing.T, kind proxy.Kind, start start) {
		code := map[proxy.Kind]int{proxy.HTTPConnect: 403, proxy.SOCKS5: 2}[kind]
		p := start(t, proxytest.Refuse(code))
		_, err := ask(t, p, proxy.Config{Kind: kind}, "127.0.0.1:1")
		var refused *proxy.RefusedError
		require.ErrorAs(t, err, &refused)
		require.Contains(t, refused.Reply, fmt.Sprint(code))
		require.Equal(t, []string{"127.0.0.1:1"}, p.Targets())
	})
}

func TestTargetThatRefuses(t *testing.T) {
	t.Parallel()
	nobody := tlstest.Refusing(t)
	bothKinds(t, func(t *testing.T, kind proxy.Kind, start start) {
		_, err := ask(t, start(t), proxy.Config{Kind: kind}, nobody)
		var refused *proxy.RefusedError
		require.ErrorAs(t, err, &refused)
		require.Contains(t, refused.Reply, map[proxy.Kind]string{proxy.HTTPConnect: "502", proxy.SOCKS5: "(5)"}[kind])
	})
}

// net/http is a client that does not come from here, and asks SOCKS for names.
func TestNetHTTPAsAClient(t *testing.T) {
	t.Parallel()
	site := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	t.Cleanup(site.Close)
	_, port, err := net.SplitHostPort(site.Listener.Addr().String())
	require.NoError(t, err)
	bothKinds(t, func(t *testing.T, kind proxy.Kind, start start) {
		p := start(t, proxytest.User("u"), proxytest.Password("p"))
		scheme := map[proxy.Kind]string{proxy.HTTPConnect: "http", proxy.SOCKS5: "socks5"}[kind]
		transport := site.Client().Transport.(*http.Transport).Clone()
		transport.Proxy = http.ProxyURL(&url.URL{Scheme: scheme, Host: p.Addr(), User: url.UserPassword("u", "p")})
		transport.TLSClientConfig.ServerName = "example.com" // the test server's certificate has it
		t.Cleanup(transport.CloseIdleConnections)
		resp, err := (&http.Client{Transport: transport}).Get("https://localhost:" + port)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, "hello", string(body))
		require.Equal(t, []string{"localhost:" + port}, p.Targets())
	})
}

func TestWhatSpeaksSomethingElse(t *testing.T) {
	t.Parallel()
	bothKinds(t, func(t *testing.T, _ proxy.Kind, start start) {
		p := start(t)
		for _, said := range []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\r\n\r\n", "\x04\x01\r\n\r\n", "\x05\x01\x00\x04\r\n\r\n"} {
			conn, err := net.Dial("tcp", p.Addr())
			require.NoError(t, err)
			_, err = io.WriteString(conn, said)
			require.NoError(t, err)
			_ = conn.(*net.TCPConn).CloseWrite() // unless it was reset already
			_, _ = io.Copy(io.Discard, conn)     // a refusal, or a reset, but an end
			require.NoError(t, conn.Close())
		}
		require.Empty(t, p.Targets())
	})
}

// The end of a test closes what is still spliced; TestMain sees to the goroutines.
func TestEndsWithItsTest(t *testing.T) {
	t.Parallel()
	bothKinds(t, func(t *testing.T, kind proxy.Kind, start start) {
		peer := tlstest.ServeRaw(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
		var conn *net.TCPConn
		var addr string
		t.Run("inner", func(t *testing.T) {
			p := start(t)
			addr = p.Addr()
			c, err := net.Dial("tcp", addr)
			require.NoError(t, err)
			conn = c.(*net.TCPConn)
			require.NoError(t, proxy.Ask(t.Context(), conn, proxy.Config{Kind: kind}, netip.MustParseAddrPort(peer)))
		})
		defer conn.Close()
		_, err := conn.Read(make([]byte, 1))
		require.Error(t, err)
		_, err = net.Dial("tcp", addr)
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
	})
}
