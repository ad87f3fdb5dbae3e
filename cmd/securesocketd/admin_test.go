package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"securesocket/server/metrics"
)

// operator is a raw client of the operator's listener.
type operator struct {
	addr net.Addr
	host string
}

// look starts a listener until the test ends and returns a client of it.
func look(tb testing.TB, cfg adminConfig) (*admin, operator) {
	tb.Helper()
	a, err := startAdmin(cfg)
	require.NoError(tb, err)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		a.Close(ctx)
	})
	o := operator{addr: a.Addr(), host: a.Addr().String()}
	if a.Addr().Network() == "unix" {
		o.host = "whatever"
	}
	return a, o
}

func (o operator) dial(tb testing.TB) net.Conn {
	tb.Helper()
	conn, err := net.Dial(o.addr.Network(), o.addr.String())
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = conn.Close() })
	require.NoError(tb, conn.SetDeadline(time.Now().Add(patience)))
	return conn
}

type reply struct {
	code   int
	header http.Header
	body   string
}

// say sends the lines of a request and reads what comes back.
func (o operator) say(tb testing.TB, lines ...string) reply {
	tb.Helper()
	conn := o.dial(tb)
	_, err := io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n\r\n")
	require.NoError(tb, err)
	method, _, _ := strings.Cut(lines[0], " ")
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	require.NoError(tb, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge { // that one ends with a reset: not all was read
		require.NoError(tb, err)
	}
	return reply{resp.StatusCode, resp.Header, string(body)}
}

func (o operator) ask(tb testing.TB, method, path string, headers ...string) reply {
	tb.Helper()
	return o.say(tb, append([]string{method + " " + path + " HTTP/1.1", "Host: " + o.host, "Connection: close"}, headers...)...)
}

// shown is a whole configuration at an address.
func shown(listen string) adminConfig {
	return adminConfig{
		Listen:  listen,
		Metrics: metrics.New(metrics.Config{Version: "v9"}).Handler(),
		Policy:  func() metrics.Policy { return metrics.Policy{Revision: "r1", Loaded: time.Unix(0, 0)} },
	}
}

func TestAdminOverTCP(t *testing.T) {
	t.Parallel()
	a, o := look(t, shown("127.0.0.1:0"))
	own := a.Own()
	require.Len(t, own, 1)
	require.Equal(t, o.addr.String(), own[0].String())
	tour(t, a, o)
}

// TestAdminOverUnix is not parallel: making the socket changes the umask for a
// moment.
func TestAdminOverUnix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	a, o := look(t, shown("unix://"+path))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.Empty(t, a.Own())
	tour(t, a, o)
	a.Close(t.Context())
	require.NoFileExists(t, path)
}

// tour asks for everything.
func tour(t *testing.T, a *admin, o operator) {
	t.Helper()
	require.Equal(t, http.StatusServiceUnavailable, o.ask(t, "GET", "/readyz").code, "it does not serve yet")
	a.Serving()
	for path, body := range map[string]string{
		"/healthz": "ok\n", "/readyz": "ready\n", "/policy": `{"revision":"r1","loaded":"1970-01-01T00:00:00Z"}` + "\n",
	} {
		r := o.ask(t, "GET", path)
		require.Equal(t, http.StatusOK, r.code, path)
		require.Equal(t, body, r.body, path)
		require.Equal(t, "no-store", r.header.Get("Cache-Control"), path)
		r = o.ask(t, "HEAD", path)
		require.Equal(t, http.StatusOK, r.code, path)
		require.Empty(t, r.body, path)
	}

	scrape := o.ask(t, "GET", "/metrics", "Accept-Encoding: gzip, zstd")
	require.Equal(t, http.StatusOK, scrape.code)
	require.Empty(t, scrape.header.Get("Content-Encoding"))
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(scrape.body))
	require.NoError(t, err)
	require.Contains(t, families, "securesocket_build_info")
	require.Contains(t, families, "go_goroutines")

	for _, path := range []string{"", "cmdline", "symbol", "heap", "goroutine?debug=1", "allocs", "block", "mutex", "threadcreate"} {
		r := o.ask(t, "GET", "/debug/pprof/"+path)
		require.Equal(t, http.StatusOK, r.code, path)
		require.NotEmpty(t, r.body, path)
		require.Equal(t, "no-store", r.header.Get("Cache-Control"), path)
	}
	for _, path := range []string{"profile", "trace", "heap"} {
		for _, seconds := range []string{"301", "1e300", "NaN", "Inf"} {
			require.Equal(t, http.StatusBadRequest, o.ask(t, "GET", "/debug/pprof/"+path+"?seconds="+seconds).code, "%s %s", path, seconds)
		}
	}

	for _, path := range []string{"/", "/x", "/debug", "/debug/", "/debug/vars", "/debug/pprof/none", "/debug/pprof/heap/x", "/healthz/", "/metrics/x", "/policy/.."} {
		code := o.ask(t, "GET", path).code
		require.Contains(t, []int{http.StatusNotFound, http.StatusTemporaryRedirect, http.StatusMovedPermanently}, code, path)
		if !strings.Contains(path, "..") {
			require.Equal(t, http.StatusNotFound, code, path)
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"} {
		for _, path := range []string{"/healthz", "/metrics", "/debug/pprof/heap"} {
			require.Equal(t, http.StatusMethodNotAllowed, o.ask(t, method, path).code, "%s %s", method, path)
		}
	}
	require.GreaterOrEqual(t, o.say(t, "OPTIONS * HTTP/1.1", "Host: "+o.host, "Connection: close").code, 400)
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, o.ask(t, "GET", "/healthz", "X: "+strings.Repeat("x", 2*adminHeaderBytes)).code)

	for _, header := range []string{"Origin: http://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site"} {
		r := o.ask(t, "GET", "/metrics", header)
		require.Equal(t, http.StatusForbidden, r.code, header)
		require.NotContains(t, r.body, "securesocket_")
	}
	for _, header := range []string{"Sec-Fetch-Site: none", "Sec-Fetch-Site: same-origin"} {
		require.Equal(t, http.StatusOK, o.ask(t, "GET", "/metrics", header).code, header)
	}

	a.Draining()
	a.Serving() // too late
	r := o.ask(t, "GET", "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, r.code)
	require.Equal(t, "draining\n", r.body)
	require.Equal(t, http.StatusOK, o.ask(t, "GET", "/healthz").code, "it lives until it has ended")
}

// TestAdminRebinding: a page whose name was made to lead here gets nothing.
func TestAdminRebinding(t *testing.T) {
	t.Parallel()
	for _, listen := range []string{"127.0.0.1:0", "127.0.0.2:0", "[::1]:0"} {
		if l, err := net.Listen("tcp", listen); err != nil {
			t.Logf("%s: %v", listen, err)
			continue
		} else {
			require.NoError(t, l.Close())
		}
		_, o := look(t, shown(listen))
		name, port, err := net.SplitHostPort(o.addr.String())
		require.NoError(t, err)
		for _, host := range []string{"localhost:" + port, "LocalHost:" + port, "127.0.0.1:" + port, "[::1]:" + port, net.JoinHostPort(name, port)} {
			o.host = host
			require.Equal(t, http.StatusOK, o.ask(t, "GET", "/healthz").code, host)
		}
		for _, host := range []string{
			"evil.example:" + port, "evil.example", "localhost", "127.0.0.1", "localhost:1", "localhost.:" + port, "localhost.evil.example:" + port,
			"127.0.0.1.evil.example:" + port, "127.0.0.3:" + port, "0.0.0.0:" + port, "::1:" + port, "[::]:" + port, "[::ffff:7f00:1]:" + port,
			"127.1:" + port, "localhost:" + port + ":" + port, "localhost:0" + port, "",
		} {
			o.host = host
			r := o.ask(t, "GET", "/metrics")
			require.Equal(t, http.StatusForbidden, r.code, host)
			require.NotContains(t, r.body, "securesocket_")
		}
		r := o.say(t, "GET /metrics HTTP/1.0")
		require.Equal(t, http.StatusForbidden, r.code, "no Host at all")
		// The name in an absolute URL is the one that counts (RFC 9112 section 3.2.2).
		r = o.say(t, "GET http://evil.example/metrics HTTP/1.1", "Host: localhost:"+port, "Connection: close")
		require.Equal(t, http.StatusForbidden, r.code)
	}
}

func TestAdminNotReady(t *testing.T) {
	t.Parallel()
	var short atomic.Bool
	cfg := adminConfig{Listen: "127.0.0.1:0", Ready: func() error {
		if short.Load() {
			return errors.New("memory is short")
		}
		return nil
	}}
	a, o := look(t, cfg)
	a.Serving()
	require.Equal(t, http.StatusOK, o.ask(t, "GET", "/readyz").code)
	short.Store(true)
	r := o.ask(t, "GET", "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, r.code)
	require.Equal(t, "memory is short\n", r.body)
	short.Store(false)
	require.Equal(t, http.StatusOK, o.ask(t, "GET", "/readyz").code, "it recovers")
	for _, path := range []string{"/metrics", "/policy"} {
		require.Equal(t, http.StatusNotFound, o.ask(t, "GET", path).code, "nobody gave it one")
	}
}

// TestAdminSlowHeader: a client that does not come to the end of its header is cut
// off, and does not keep others out meanwhile.
func TestAdminSlowHeader(t *testing.T) {
	t.Parallel()
	_, o := look(t, shown("127.0.0.1:0"))
	slow := o.dial(t)
	_, err := fmt.Fprintf(slow, "GET /healthz HTTP/1.1\r\nHost: %s\r\nX: ", o.host)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, o.ask(t, "GET", "/healthz").code)
	answer, err := io.ReadAll(slow)
	if err != nil { // a reset is an end too, the client's own deadline is not
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	}
	require.NotContains(t, string(answer), "200 OK")
}

// TestAdminCloseEndsProfiles is not parallel: a process takes one trace at a time.
func TestAdminCloseEndsProfiles(t *testing.T) {
	a, o := look(t, shown("127.0.0.1:0"))
	require.Equal(t, http.StatusOK, o.ask(t, "GET", "/debug/pprof/profile?seconds=1").code)
	conn := o.dial(t)
	_, err := fmt.Fprintf(conn, "GET /debug/pprof/trace?seconds=300 HTTP/1.1\r\nHost: %s\r\n\r\n", o.host)
	require.NoError(t, err)
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil) // the trace has begun
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	closed := make(chan struct{})
	go func() { defer close(closed); a.Close(ctx) }()
	trace, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NotEmpty(t, trace, "what was taken is delivered")
	<-closed
	require.NoError(t, ctx.Err(), "it did not have to be broken off")
	_, err = net.Dial(o.addr.Network(), o.addr.String())
	require.Error(t, err)
}

// TestAdminLeavesNothing is not parallel: it counts goroutines.
func TestAdminLeavesNothing(t *testing.T) {
	before := goleak.IgnoreCurrent()
	a, err := startAdmin(shown("127.0.0.1:0"))
	require.NoError(t, err)
	o := operator{addr: a.Addr(), host: a.Addr().String()}
	idle := o.dial(t)
	o.ask(t, "GET", "/metrics")
	// A request that is not complete is not waited for.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a.Close(ctx)
	a.Close(ctx)
	_, err = io.ReadAll(idle)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	goleak.VerifyNone(t, before)
}

func TestAdminAddresses(t *testing.T) {
	t.Parallel()
	for _, listen := range []string{"0.0.0.0:0", "[::]:0", "192.0.2.1:0", "localhost:0", "127.0.0.1", ":9090"} {
		_, err := startAdmin(adminConfig{Listen: listen})
		require.Error(t, err, listen)
	}
	a, err := startAdmin(adminConfig{})
	require.NoError(t, err)
	require.Nil(t, a)
	a.Serving()
	a.Draining()
	require.Nil(t, a.Addr())
	require.Empty(t, a.Own())
	a.Close(t.Context())
}
