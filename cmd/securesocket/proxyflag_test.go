package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// connectProxy is an HTTP proxy for whoever knows the password, which connects to target whatever is asked for. used
// counts those who did.
func connectProxy(t *testing.T, target, password string) (address string, used *atomic.Int32) {
	t.Helper()
	used = &atomic.Int32{}
	return tlstest.ServeRaw(t, func(conn net.Conn) {
		in := bufio.NewReader(conn)
		request, err := http.ReadRequest(in)
		if err != nil || request.Method != http.MethodConnect {
			return
		}
		request.Header.Set("Authorization", request.Header.Get("Proxy-Authorization"))
		if _, got, ok := request.BasicAuth(); !ok || got != password {
			_, _ = io.WriteString(conn, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
			return
		}
		onward, err := net.Dial("tcp", target)
		if err != nil {
			return
		}
		defer onward.Close()
		used.Add(1)
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		go func() {
			_, _ = io.Copy(onward, in)
			_ = onward.(*net.TCPConn).CloseWrite()
		}()
		_, _ = io.Copy(conn, onward)
	}), used
}

func TestProxy(t *testing.T) {
	t.Parallel()
	p := startPeer(t, tlstest.Echo)
	proxy, used := connectProxy(t, p.address, "p@ss")
	for i, command := range []string{"connect", "status", "diagnose"} {
		r := runLocal(t, command, p.address, "--cafile", p.cafile, "--proxy", "http://me:p%40ss@"+proxy)
		require.Equal(t, exitDone, r.code, r.stderr)
		require.EqualValues(t, i+1, used.Load())
		require.NotContains(t, r.stdout+r.stderr, "p@ss")

		r = runLocal(t, command, p.address, "--cafile", p.cafile, "--proxy", "http://me:wrong@"+proxy)
		require.Equal(t, exitNetwork, r.code, r.stderr)
		require.Contains(t, r.stderr, "(PROXY_REFUSED)")
		require.NotContains(t, r.stdout+r.stderr, "wrong")
	}
	echo := tlstest.ServeRaw(t, echoRaw)
	proxy, used = connectProxy(t, echo, "p@ss")
	r := runWith(t.Context(), strings.NewReader("hello"), append([]string{"connect", "--plain", echo, "--proxy", "http://me:p%40ss@" + proxy}, local...)...)
	require.Equal(t, exitDone, r.code, r.stderr)
	require.Equal(t, "hello", r.stdout)
	require.EqualValues(t, 1, used.Load())
}

// Not parallel: the environment is the process's.
func TestProxyPasswordFromTheEnvironment(t *testing.T) {
	t.Setenv(proxyPasswordVariable, "from outside")
	for text, want := range map[string]*pb.ProxySettings{
		"http://proxy:3128":                 {Kind: pb.ProxySettings_KIND_HTTP_CONNECT, Host: "proxy", Port: 3128},
		"http://me@proxy:3128":              {Kind: pb.ProxySettings_KIND_HTTP_CONNECT, Host: "proxy", Port: 3128, Username: "me", Password: "from outside"},
		"http://me:@proxy:3128/":            {Kind: pb.ProxySettings_KIND_HTTP_CONNECT, Host: "proxy", Port: 3128, Username: "me"},
		"socks5://me:a%3Ab%2F@[::1]:65535":  {Kind: pb.ProxySettings_KIND_SOCKS5, Host: "::1", Port: 65535, Username: "me", Password: "a:b/"},
		"SOCKS5://b\u00fccher.example:1080": {Kind: pb.ProxySettings_KIND_SOCKS5, Host: "b\u00fccher.example", Port: 1080},
	} {
		got, err := (&proxyFlag{text}).settings()
		require.NoError(t, err, text)
		require.Equal(t, want.String(), got.String(), text)
	}
	none, err := (&proxyFlag{}).settings()
	require.NoError(t, err)
	require.Nil(t, none)

	p := startPeer(t, tlstest.Echo)
	proxy, used := connectProxy(t, p.address, "from outside")
	r := runLocal(t, "connect", p.address, "--cafile", p.cafile, "--proxy", "http://me@"+proxy)
	require.Equal(t, exitDone, r.code, r.stderr)
	require.EqualValues(t, 1, used.Load())
}

// What may have a password in it is not shown.
func TestMalformedProxy(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"proxy:3128", "proxy", "http://", "http://proxy", "http://:3128", "http://proxy:", "http://proxy:0", "http://proxy:65536", "http://proxy:http",
		"https://me:secret@proxy:3128", "socks4://proxy:1080", "socks5h://me:secret@proxy:1080", "http:proxy:3128",
		"http://me:secret@proxy:3128/path", "http://me:secret@proxy:3128?a", "http://me:secret@proxy:3128#a", "http://me:secret@proxy:3128?",
		"http://me:sec ret@proxy:3128", "http://me:secret/@proxy:3128", "http://me:secret%@proxy:3128", "http://me:secret@proxy:port", "\x00",
	} {
		r := runLocal(t, "connect 127.0.0.1:1", "--proxy", text)
		require.Equal(t, exitUsage, r.code, "%q: %s", text, r.stderr)
		require.Contains(t, r.stderr, "--proxy")
		require.NotContains(t, r.stderr, "secret", text)
		require.NotContains(t, r.stderr, "sec ret", text)
	}
}
