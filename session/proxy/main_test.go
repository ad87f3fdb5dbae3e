package proxy_test

import (
	"io"
	"net"
	"net/netip"
	"testing"

	"securesocket/session/proxy"
	"securesocket/tlsengine/secret"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	username = "Aladdin"
	password = "open sesame"
)

var (
	target4 = netip.MustParseAddrPort("192.0.2.1:443")
	target6 = netip.MustParseAddrPort("[2001:db8::1]:8443")
)

// kinds are both, each without and with credentials.
var kinds = []proxy.Config{
	{Kind: proxy.HTTPConnect},
	{Kind: proxy.HTTPConnect, Username: username, Password: secret.FromString(password)},
	{Kind: proxy.SOCKS5},
	{Kind: proxy.SOCKS5, Username: username, Password: secret.FromString(password)},
}

// turn is a part of a conversation: what the proxy has to be told, and what it answers. Its answer ends before all of it
// if the connection is cut.
type turn struct{ asked, answer string }

// conversation is a good one, for IPv4.
func conversation(cfg proxy.Config) []turn {
	switch cfg {
	case kinds[0]:
		return []turn{{"CONNECT 192.0.2.1:443 HTTP/1.1\r\nHost: 192.0.2.1:443\r\n\r\n", "HTTP/1.1 200 OK\r\nVia: x\r\n\r\n"}}
	case kinds[1]:
		return []turn{{"CONNECT 192.0.2.1:443 HTTP/1.1\r\nHost: 192.0.2.1:443\r\n" +
			"Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n", "HTTP/1.0 200 Connection established\r\n\r\n"}}
	case kinds[2]:
		return []turn{
			{"\x05\x01\x00", "\x05\x00"},
			{"\x05\x01\x00\x01\xc0\x00\x02\x01\x01\xbb", "\x05\x00\x00\x01\x7f\x00\x00\x01\x12\x34"},
		}
	case kinds[3]:
		return []turn{
			{"\x05\x02\x00\x02", "\x05\x02"},
			{"\x01\x07Aladdin\x0bopen sesame", "\x01\x00"},
			{"\x05\x01\x00\x01\xc0\x00\x02\x01\x01\xbb", "\x05\x00\x00\x03\x03abc\x12\x34"},
		}
	}
	panic("no such conversation")
}

// script is a proxy that reads what each turn asks for and answers it, and then does what end says.
func script(t *testing.T, turns []turn, end func(*net.TCPConn)) *net.TCPConn {
	t.Helper()
	mismatch := make(chan string, len(turns))
	addr := tlstest.ServeRaw(t, func(conn net.Conn) {
		for _, turn := range turns {
			got := make([]byte, len(turn.asked))
			if _, err := io.ReadFull(conn, got); err != nil {
				return
			}
			if string(got) != turn.asked {
				mismatch <- string(got)
				return
			}
			_, _ = io.WriteString(conn, turn.answer)
		}
		end(conn.(*net.TCPConn))
	})
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = conn.Close()
		select {
		case got := <-mismatch:
			t.Errorf("the proxy was told %q", got)
		default:
		}
	})
	return conn.(*net.TCPConn)
}

// The endings.

// wait sends nothing more, until the client goes.
func wait(conn *net.TCPConn) { _, _ = io.Copy(io.Discard, conn) }

func fin(conn *net.TCPConn) {
	_ = conn.CloseWrite()
	wait(conn)
}

func reset(conn *net.TCPConn) {
	_ = conn.SetLinger(0)
	_ = conn.Close()
}

// answers is a proxy that says this, whatever it is asked, to anybody who speaks first.
func answers(t *testing.T, answer string) *net.TCPConn {
	t.Helper()
	addr := tlstest.ServeRaw(t, func(conn net.Conn) {
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			return
		}
		_, _ = io.WriteString(conn, answer)
		wait(conn.(*net.TCPConn))
	})
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.TCPConn)
}

// requireOpen checks that conn is open, and has no deadline that has passed.
func requireOpen(t *testing.T, conn net.Conn) {
	t.Helper()
	_, err := conn.Write([]byte("x"))
	require.NoError(t, err)
}
