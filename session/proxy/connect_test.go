package proxy_test

import (
	"encoding/hex"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"securesocket/session/proxy"

	"github.com/stretchr/testify/require"
)

func TestBothKindsConnect(t *testing.T) {
	t.Parallel()
	for _, cfg := range kinds {
		t.Run(cfg.String(), func(t *testing.T) {
			t.Parallel()
			conn := script(t, conversation(cfg), func(conn *net.TCPConn) { _, _ = io.Copy(conn, conn) })
			require.NoError(t, proxy.Ask(t.Context(), conn, cfg, target4))
			requireEcho(t, conn)
		})
	}
}

func TestIPv6IsAskedForAsSuch(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		cfg   proxy.Config
		turns []turn
	}{
		{proxy.Config{Kind: proxy.HTTPConnect}, []turn{
			{"CONNECT [2001:db8::1]:8443 HTTP/1.1\r\nHost: [2001:db8::1]:8443\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"},
		}},
		{proxy.Config{Kind: proxy.SOCKS5}, []turn{
			{"\x05\x01\x00", "\x05\x00"},
			{"\x05\x01\x00\x04" + unhex("20010db8000000000000000000000001") + "\x20\xfb",
				"\x05\x00\x00\x04" + strings.Repeat("\x01", 16) + "\x12\x34"},
		}},
	} {
		t.Run(tc.cfg.String(), func(t *testing.T) {
			t.Parallel()
			conn := script(t, tc.turns, func(conn *net.TCPConn) { _, _ = io.Copy(conn, conn) })
			require.NoError(t, proxy.Ask(t.Context(), conn, tc.cfg, target6))
			requireEcho(t, conn)
		})
	}
}

func TestMappedAddressIsIPv4(t *testing.T) {
	t.Parallel()
	for _, cfg := range kinds {
		conn := script(t, conversation(cfg), wait)
		require.NoError(t, proxy.Ask(t.Context(), conn, cfg, netip.MustParseAddrPort("[::ffff:192.0.2.1]:443")))
	}
}

// A proxy need not want the credentials that it is offered.
func TestSOCKSMayChooseNoCredentials(t *testing.T) {
	t.Parallel()
	turns := []turn{{"\x05\x02\x00\x02", "\x05\x00"}, conversation(kinds[2])[1]}
	require.NoError(t, proxy.Ask(t.Context(), script(t, turns, wait), kinds[3], target4))
}

// Whatever a peer sends in one segment with the proxy's last byte is there to be read, and nothing else is.
func TestPeerThatSpeaksFirstLosesNothing(t *testing.T) {
	t.Parallel()
	const banner = "\r\n220 peer\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"
	for name, tc := range map[string]struct {
		cfg  proxy.Config
		last string // the last answer
	}{
		"HTTP":                {kinds[0], "HTTP/1.1 200 OK\r\nServer: x\r\n\r\n"},
		"no phrase":           {kinds[0], "HTTP/1.1 200\r\n\r\n"},
		"any 2xx":             {kinds[0], "HTTP/1.1 204 No Content\r\n\r\n"},
		"version 1.0":         {kinds[0], "HTTP/1.0 200 OK\r\n\r\n"},
		"bare LF":             {kinds[0], "HTTP/1.1 200 OK\nServer: x\n\n"},
		"length":              {kinds[0], "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"},
		"contradictory":       {kinds[0], "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nContent-Length: x\r\n\r\n"},
		"chunked":             {kinds[0], "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
		"unknown coding":      {kinds[0], "HTTP/1.1 200 OK\r\nTransfer-Encoding: x\r\n\r\n"},
		"folded":              {kinds[0], "HTTP/1.1 200 OK\r\nServer: x\r\n y\r\n\r\n"},
		"interim":             {kinds[0], "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"},
		"SOCKS":               {kinds[2], "\x05\x00\x00\x01\x7f\x00\x00\x01\x12\x34"},
		"SOCKS, bound IPv6":   {kinds[2], "\x05\x00\x00\x04" + strings.Repeat("\x05", 16) + "\x12\x34"},
		"SOCKS, bound name":   {kinds[2], "\x05\x00\x00\x03\xff" + strings.Repeat("n", 255) + "\x12\x34"},
		"SOCKS, bound nobody": {kinds[2], "\x05\x00\x00\x03\x00\x12\x34"},
		"SOCKS, credentials":  {kinds[3], "\x05\x00\x00\x01\x7f\x00\x00\x01\x12\x34"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			turns := conversation(tc.cfg)
			turns[len(turns)-1].answer = tc.last + banner
			conn := script(t, turns, fin)
			require.NoError(t, proxy.Ask(t.Context(), conn, tc.cfg, target4))
			rest, err := io.ReadAll(conn)
			require.NoError(t, err)
			require.Equal(t, banner, string(rest))
		})
	}
}

// A segment may end anywhere.
func TestAnswerMayComeByteByByte(t *testing.T) {
	t.Parallel()
	for _, cfg := range kinds {
		t.Run(cfg.String(), func(t *testing.T) {
			t.Parallel()
			var turns []turn
			for _, full := range conversation(cfg) {
				turns = append(turns, turn{asked: full.asked})
				for _, b := range []byte(full.answer) {
					turns = append(turns, turn{answer: string([]byte{b})})
				}
			}
			conn := script(t, turns, func(conn *net.TCPConn) { _, _ = io.Copy(conn, conn) })
			require.NoError(t, proxy.Ask(t.Context(), conn, cfg, target4))
			requireEcho(t, conn)
		})
	}
}

func TestAddressThatNoProxyCanReach(t *testing.T) {
	t.Parallel()
	for _, target := range []netip.AddrPort{
		{}, netip.AddrPortFrom(target4.Addr(), 0), netip.MustParseAddrPort("[fe80::1%eth0]:443"),
	} {
		for _, cfg := range kinds {
			near, far := net.Pipe()
			require.Error(t, proxy.Ask(t.Context(), near, cfg, target))
			require.NoError(t, near.Close())
			said, err := io.ReadAll(far)
			require.NoError(t, err)
			require.Empty(t, said)
		}
	}
}

func requireEcho(t *testing.T, conn *net.TCPConn) {
	t.Helper()
	_, err := io.WriteString(conn, "hello")
	require.NoError(t, err)
	require.NoError(t, conn.CloseWrite())
	got, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, "hello", string(got))
}

func unhex(s string) string {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}
