package client_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
	"securesocket/session/proxy/proxytest"
	"securesocket/tlsengine/tlstest"
)

// proxies are one of each kind, which ask for a user.
func proxies(t *testing.T, user, password string) map[string]*proxytest.Proxy {
	t.Helper()
	options := []proxytest.Option{proxytest.User(user), proxytest.Password(password)}
	return map[string]*proxytest.Proxy{
		"http": proxytest.StartHTTP(t, options...), "socks5": proxytest.StartSOCKS5(t, options...),
	}
}

func TestServiceProxy(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	d := plainDialer(t, ca)
	address, mail := tlstest.Serve(t, serverConfig(ca), tlstest.Echo), smtpPeer(t, serverConfig(ca), "")
	web := httptest.NewUnstartedServer(http.HandlerFunc(echoHandler))
	web.TLS = serverConfig(ca)
	web.StartTLS()
	t.Cleanup(web.Close)
	for scheme, proxy := range proxies(t, "someone", "secret") {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			d := *d
			d.Proxy = &url.URL{Scheme: scheme, User: url.UserPassword("someone", "secret"), Host: proxy.Addr()}
			conn, err := d.Dial(t.Context(), "tcp", address)
			require.NoError(t, err)
			require.Equal(t, proxy.Addr(), conn.RemoteAddr().String())
			_, err = io.WriteString(conn, greeting)
			require.NoError(t, err)
			readExactly(t, conn, greeting)
			require.NoError(t, conn.CloseWrite())
			_, err = io.ReadAll(conn)
			require.NoError(t, err)
			require.NoError(t, conn.Close())

			conn, err = d.DialPlain(t.Context(), "tcp", mail)
			require.NoError(t, err)
			ask(t, conn, "")
			ask(t, conn, "STARTTLS")
			require.NoError(t, conn.StartTLS(t.Context()))
			ask(t, conn, "QUIT")
			require.NoError(t, conn.Close())

			transport := &client.Transport{Dialer: &d}
			defer transport.CloseIdleConnections()
			response, err := (&http.Client{Transport: transport}).Get(web.URL)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			require.Equal(t, []string{address, mail, web.Listener.Addr().String()}, proxy.Targets())

			d.Proxy = &url.URL{Scheme: scheme, User: url.UserPassword("someone", "wrong-secret"), Host: proxy.Addr()}
			_, err = d.Dial(t.Context(), "tcp", address)
			requireError(t, err, pb.ErrorReason_ERROR_REASON_PROXY_REFUSED)
			require.NotContains(t, fmt.Sprintf("%v %+v", err, err), "wrong-secret")
		})
	}
}

// TestProxyURL: what is no proxy is refused before anything is sent, and not repeated.
func TestProxyURL(t *testing.T) {
	t.Parallel()
	c, _ := startFake(t, func(s *fakeStream) error {
		p := s.open.GetSettings().GetProxy()
		s.attached()
		s.failed(pb.Phase_PHASE_TCP, 14, pb.ErrorReason(100_000+p.GetPort())) // tells what has come
		return nil
	})
	for raw, port := range map[string]int32{
		"http://proxy.example": 80, "socks5://u:secret@[::1]": 1080, "http://u@proxy.example:3128/": 3128,
		"https://u:secret@proxy.example": 0, "socks5h://u:secret@proxy.example": 0, "http://:3128": 0, "//u:secret@x": 0,
		"http://u:secret@proxy.example/path": 0, "http://u:secret@proxy.example?q": 0, "socks5://u:secret@proxy.example#f": 0,
	} {
		t.Run(raw, func(t *testing.T) {
			t.Parallel()
			u, err := url.Parse(raw)
			require.NoError(t, err)
			_, err = (&client.Dialer{Client: c, Proxy: u}).Dial(t.Context(), "tcp", "example.com:443")
			if port > 0 {
				requireError(t, err, pb.ErrorReason(100_000+port))
				return
			}
			e := requireError(t, err, pb.ErrorReason_ERROR_REASON_INVALID_FIELD)
			require.Equal(t, "Dialer.Proxy", e.Metadata["field"])
			require.NotContains(t, err.Error(), "secret")
		})
	}
}
