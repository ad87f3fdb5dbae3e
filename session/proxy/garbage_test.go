package proxy_test

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"securesocket/session/proxy"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
)

// None of these ends the connection: what is no proxy has to be known by its bytes.
func TestWhatIsNoProxy(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cfg    proxy.Config
		answer string
	}{
		"mail":                     {kinds[0], "220 mail.example ESMTP\r\n"},
		"one byte":                 {kinds[0], "\x15"},
		"TLS":                      {kinds[0], "\x15\x03\x01\x00\x02\x02\x46"},
		"SSH":                      {kinds[0], "SSH-2.0-x\r\n"},
		"HTTP/2":                   {kinds[0], "HTTP/2 200\r\n\r\n"},
		"empty line first":         {kinds[0], "\r\nHTTP/1.1 200 OK\r\n\r\n"},
		"lower case":               {kinds[0], "http/1.1 200 OK\r\n\r\n"},
		"no minor version":         {kinds[0], "HTTP/1. 200 OK\r\n\r\n"},
		"long version":             {kinds[0], "HTTP/1.11 200 OK\r\n\r\n"},
		"no status":                {kinds[0], "HTTP/1.1\r\n\r\n"},
		"two digits":               {kinds[0], "HTTP/1.1 20 OK\r\n\r\n"},
		"four digits":              {kinds[0], "HTTP/1.1 2000 OK\r\n\r\n"},
		"signed":                   {kinds[0], "HTTP/1.1 +20 OK\r\n\r\n"},
		"no digits":                {kinds[0], "HTTP/1.1 abc OK\r\n\r\n"},
		"field without a colon":    {kinds[0], "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"},
		"field without a name":     {kinds[0], "HTTP/1.1 200 OK\r\n: x\r\n\r\n"},
		"folded first":             {kinds[0], "HTTP/1.1 200 OK\r\n x\r\n\r\n"},
		"refusal, malformed":       {kinds[0], "HTTP/1.1 407 No\r\nnonsense\r\n\r\n"},
		"switching":                {kinds[0], "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"},
		"interim, then garbage":    {kinds[0], "HTTP/1.1 100 Continue\r\n\r\nx"},
		"SOCKS 4":                  {kinds[2], "\x00\x5a"},
		"SOCKS, asked over HTTP":   {kinds[2], "HTTP/1.1 400 Bad Request\r\n\r\n"},
		"SOCKS, other version":     {kinds[2], "\x04\x00"},
		"SOCKS, GSSAPI":            {kinds[2], "\x05\x01"},
		"SOCKS, method not asked":  {kinds[2], "\x05\x02"},
		"SOCKS, method of nobody":  {kinds[3], "\x05\x80"},
		"SOCKS, credential answer": {kinds[3], "\x05\x02\x05\x00"},
		"SOCKS, version of reply":  {kinds[2], "\x05\x00\x04\x00"},
		"SOCKS, reserved":          {kinds[2], "\x05\x00\x05\x00\x01\x01"},
		"SOCKS, address type":      {kinds[2], "\x05\x00\x05\x00\x00\x02"},
		"SOCKS, no address type":   {kinds[2], "\x05\x00\x05\x00\x00\x00"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := answers(t, tc.answer)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // instead of a hang
			defer cancel()
			err := proxy.Ask(ctx, conn, tc.cfg, target4)
			var reply *proxy.ReplyError
			require.ErrorAs(t, err, &reply)
			require.Equal(t, tc.cfg.Kind, reply.Kind)
			require.NotEmpty(t, reply.Why)
			requireOpen(t, conn)
		})
	}
}

// The proxy sends for as long as it is read.
func TestEndlessHead(t *testing.T) {
	t.Parallel()
	for name, part := range map[string]string{
		"status line": "x",
		"fields":      "\r\nX: y",
		"interim":     " x\r\n\r\nHTTP/1.1 100",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := tlstest.ServeRaw(t, func(conn net.Conn) {
				_, err := io.WriteString(conn, "HTTP/1.1 100")
				for err == nil {
					_, err = io.WriteString(conn, strings.Repeat(part, 100))
				}
			})
			conn, err := net.Dial("tcp", addr)
			require.NoError(t, err)
			defer conn.Close()
			var reply *proxy.ReplyError
			require.ErrorAs(t, proxy.Ask(t.Context(), conn, kinds[0], target4), &reply)
		})
	}
}

// The bound is of all heads together, to the byte.
func TestLongestHead(t *testing.T) {
	t.Parallel()
	const begin, end = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX: ", "\r\n\r\n"
	fits := begin + strings.Repeat("y", 16<<10-len(begin+end)) + end
	require.NoError(t, proxy.Ask(t.Context(), answers(t, fits), kinds[0], target4))

	var reply *proxy.ReplyError
	tooLong := strings.Replace(fits, "y", "yy", 1)
	require.ErrorAs(t, proxy.Ask(t.Context(), answers(t, tooLong), kinds[0], target4), &reply)
}
