package proxy_test

import (
	"fmt"
	"strings"
	"testing"

	"securesocket/session/proxy"

	"github.com/stretchr/testify/require"
)

func TestHTTPRefusals(t *testing.T) {
	t.Parallel()
	for head, want := range map[string]proxy.RefusedError{
		"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=x\r\n\r\n": {
			Reply: "407 Proxy Authentication Required", Auth: true},
		"HTTP/1.1 403 Not by me\r\nContent-Length: 4\r\n\r\nbody":             {Reply: "403 Not by me"},
		"HTTP/1.0 502 Bad Gateway\r\n\r\n":                                    {Reply: "502 Bad Gateway"},
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Later\r\n\r\n":             {Reply: "503 Later"},
		"HTTP/1.1 401 Unauthorized\r\n\r\n":                                   {Reply: "401 Unauthorized", Auth: true}, // tinyproxy, of a wrong password
		"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.9/\r\n\r\n":           {Reply: "302 Found"},
		"HTTP/1.1 504\r\n\r\n":                                                {Reply: "504 Gateway Timeout"},
		"HTTP/1.1 504 \r\n\r\n":                                               {Reply: "504 Gateway Timeout"},
		"HTTP/1.1 599\r\n\r\n":                                                {Reply: "599"},
		"HTTP/1.1 000 What\r\n\r\n":                                           {Reply: "000 What"},
		"HTTP/1.1 999 What\r\n\r\n":                                           {Reply: "999 What"},
		"HTTP/1.1 403 \x1b[31m\x00\xff\u202e\r\n\r\n":                         {Reply: `403 \x1b[31m\x00\xff\u202e`},
		"HTTP/1.1 403 " + strings.Repeat("a", 252) + "\r\n\r\n":               {Reply: "403 " + strings.Repeat("a", 252)},
		"HTTP/1.1 403 " + strings.Repeat("a", 253) + "\r\n\r\n":               {Reply: "403 " + strings.Repeat("a", 249) + "..."},
		"HTTP/1.1 403 " + strings.Repeat("\u202e", 100) + "\r\n\r\n":          {Reply: "403 " + strings.Repeat(`\u202e`, 41) + "..."},
		"HTTP/1.1 403 no " + password + "\r\n\r\n":                            {Reply: "403 Forbidden"},
		"HTTP/1.1 403 QWxhZGRpbjpvcGVuIHNlc2FtZQ== is wrong\r\n\r\n":          {Reply: "403 Forbidden"},
		"HTTP/1.1 599 no " + password + "\r\n\r\n":                            {Reply: "599"},
		"HTTP/1.1 407 Proxy Authentication Required\n\n":                      {Reply: "407 Proxy Authentication Required", Auth: true},
		"HTTP/1.1 407 x\r\nContent-Length: x\r\nTransfer-Encoding: y\r\n\r\n": {Reply: "407 x", Auth: true},
	} {
		t.Run(want.Reply, func(t *testing.T) {
			t.Parallel()
			want.Kind = proxy.HTTPConnect
			conn := answers(t, head)
			requireRefused(t, want, proxy.Ask(t.Context(), conn, kinds[1], target4))
			requireOpen(t, conn)
		})
	}
}

func TestSOCKSRefusals(t *testing.T) {
	t.Parallel()
	words := map[int]string{
		1: "general failure of the proxy", 2: "connection not allowed by the proxy's rules", 3: "network unreachable",
		4: "host unreachable", 5: "connection refused by destination host", 6: "TTL expired", 7: "command not supported",
		8: "address type not supported",
	}
	for code := 1; code <= 255; code++ {
		word := words[code]
		if word == "" {
			word = "unassigned reply"
		}
		for _, rest := range []string{"", "\x00\x01\x00\x00\x00\x00\x00\x00"} { // some say no more than they have to
			conn := answers(t, "\x05\x00\x05"+string([]byte{byte(code)})+rest)
			err := proxy.Ask(t.Context(), conn, kinds[2], target4)
			requireRefused(t, proxy.RefusedError{Kind: proxy.SOCKS5, Reply: fmt.Sprintf("%s (%d)", word, code)}, err)
			requireOpen(t, conn)
			_ = conn.Close()
		}
	}
}

func TestSOCKSRefusesCredentials(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		cfg    proxy.Config
		answer string
		reply  string
	}{
		{kinds[2], "\x05\xff", "no acceptable way to authenticate (255)"},
		{kinds[3], "\x05\xff", "no acceptable way to authenticate (255)"},
		{kinds[3], "\x05\x02\x01\x01", "username or password refused (1)"},
		{kinds[3], "\x05\x02\x01\xff", "username or password refused (255)"},
	} {
		conn := answers(t, tc.answer)
		err := proxy.Ask(t.Context(), conn, tc.cfg, target4)
		requireRefused(t, proxy.RefusedError{Kind: proxy.SOCKS5, Reply: tc.reply, Auth: true}, err)
		requireOpen(t, conn)
	}
}

// What was read before an end counts, if it says enough.
func TestRefusalBeforeAnEnd(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]proxy.RefusedError{
		"HTTP/1.1 403 Forbidden\r\n\r\n": {Kind: proxy.HTTPConnect, Reply: "403 Forbidden"},
		"\x05\xff":                       {Kind: proxy.SOCKS5, Reply: "no acceptable way to authenticate (255)", Auth: true},
	} {
		cfg := proxy.Config{Kind: want.Kind}
		turns := conversation(cfg)[:1]
		turns[0].answer = answer
		requireRefused(t, want, proxy.Ask(t.Context(), script(t, turns, fin), cfg, target4))
	}
}

func requireRefused(t *testing.T, want proxy.RefusedError, err error) {
	t.Helper()
	var refused *proxy.RefusedError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, want, *refused)
	require.LessOrEqual(t, len(refused.Reply), 256)
	require.NotContains(t, err.Error(), password)
}
