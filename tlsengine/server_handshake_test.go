package tlsengine_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"securesocket/tlsengine"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
)

func TestClientsThatDoNotSpeakTLS(t *testing.T) {
	t.Parallel()
	cfg := serving(t, tlstest.NewCA(t).Leaf())
	for name, hello := range map[string]string{
		"HTTP": "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "SSH": "SSH-2.0-OpenSSH_9.6\r\n", "short": "ok\n", "one byte": "G",
		"zeros": "\x00\x00\x00\x00\x00\x00\x00", "SSL 2": "\x80\x2e\x01\x00\x02",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tlsengine.Server(t.Context(), tlstest.ConnectRaw(t, say(hello)), cfg, nil)
			requireKind(t, err, tlsengine.NotTLS)
			for n := range hello {
				raw := tlstest.ConnectRaw(t, say(hello[n+1:]))
				_, err = tlsengine.Server(t.Context(), raw, cfg, []byte(hello[:n+1]))
				requireKind(t, err, tlsengine.NotTLS)
			}
		})
	}
}

func TestClientsThatMisbehave(t *testing.T) {
	t.Parallel()
	cfg := serving(t, tlstest.NewCA(t).Leaf())
	for name, hello := range map[string]string{
		"handshake message that is none": "\x16\x03\x03\x00\x04\x63\x00\x00\x00",
		"oversized record":               "\x16\x03\x03\xff\xff",
		"empty hello":                    "\x16\x03\x01\x00\x04\x01\x00\x00\x00",
		"oversized hello":                "\x16\x03\x01\x00\x04\x01\xff\xff\xff",
		"a server's hello":               "\x16\x03\x03\x00\x2a\x02\x00\x00\x26\x03\x03" + string(make([]byte, 32)) + "\x00\x00\x2f\x00",
		"alert of three bytes":           "\x15\x03\x03\x00\x03\x02\x28\x00",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tlsengine.Server(t.Context(), tlstest.ConnectRaw(t, say(hello)), cfg, nil)
			requireKind(t, err, tlsengine.Misbehaved)
		})
	}
}

// A renegotiation where nothing has been negotiated yet (RFC 5746, section 3.6), which crypto/tls answers as if nothing
// were in common.
func TestClientRenegotiatesAtOnce(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	hello := helloOf(t, clientConfig(ca, tls.VersionTLS12))
	at := bytes.Index(hello, []byte("\xff\x01\x00\x01\x00"))
	require.Positive(t, at)
	session := 5 + 4 + 2 + 32
	suites := session + 1 + int(hello[session])
	extensions := suites + 2 + int(binary.BigEndian.Uint16(hello[suites:])) + 2
	hello = slices.Concat(hello[:at], []byte("\xff\x01\x00\x02\x01x"), hello[at+5:])
	for _, length := range []int{3, 7, extensions} {
		binary.BigEndian.PutUint16(hello[length:], binary.BigEndian.Uint16(hello[length:])+1)
	}
	_, err := tlsengine.Server(t.Context(), tlstest.ConnectRaw(t, say(string(hello))), serving(t, ca.Leaf()), nil)
	he := requireKind(t, err, tlsengine.Misbehaved)
	require.Equal(t, tlsengine.AlertError{Alert: handshakeFailure}, *he.Alert)
}

// The client and the server saw different hellos, which shows in the Finished alone: crypto/tls answers as if nothing were
// in common. The extended master secret is taken out, or it would show before.
func TestClientWithAWrongFinished(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	ctx := t.Context()
	raw := tlstest.ConnectRaw(t, func(raw net.Conn) {
		_ = tls.Client(&replacingConn{raw, []byte("\x00\x17\x00\x00"), []byte("\xfa\x17\x00\x00")}, clientConfig(ca, tls.VersionTLS12)).HandshakeContext(ctx)
	})
	_, err := tlsengine.Server(ctx, raw, serving(t, ca.Leaf()), nil)
	he := requireKind(t, err, tlsengine.Misbehaved)
	require.Equal(t, tlsengine.AlertError{Alert: handshakeFailure}, *he.Alert)
}

// replacingConn replaces the first occurrence in what is written.
type replacingConn struct {
	net.Conn
	from, to []byte
}

func (c *replacingConn) Write(p []byte) (int, error) {
	if bytes.Contains(p, c.from) {
		p = bytes.Replace(p, c.from, c.to, 1)
		c.from = []byte("there is none")
	}
	return c.Conn.Write(p)
}

func TestServerHandshakeEnds(t *testing.T) {
	t.Parallel()
	cfg := serving(t, tlstest.NewCA(t).Leaf())
	for name, tc := range map[string]struct {
		handle func(net.Conn)
		want   tlsengine.End
	}{
		"FIN at once":     {say(""), tlsengine.EndTruncated},
		"FIN in a header": {say("\x16\x03"), tlsengine.EndTruncatedRecord},
		"FIN in a record": {say("\x16\x03\x01\x00\x50\x01"), tlsengine.EndTruncatedRecord},
		"close_notify":    {say("\x15\x03\x01\x00\x02\x01\x00"), tlsengine.EndCloseNotify},
		"reset":           {func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }, tlsengine.EndReset},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tlsengine.Server(t.Context(), tlstest.ConnectRaw(t, tc.handle), cfg, nil)
			end, ok := tlsengine.EndOf(err)
			require.True(t, ok, "%v", err)
			require.Equal(t, tc.want, end, "%v", err)
			require.False(t, errors.Is(err, io.EOF))
		})
	}
}

// A client that does not like what it is shown says so.
func TestAlertOfAClient(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		cfg := serving(t, tlstest.NewCA(t).Leaf())
		cfg.ClientAuth = tlsengine.ClientAuthRequest
		raw, _ := clientHears(t, clientConfig(tlstest.NewCA(t), version))
		_, err := tlsengine.Server(t.Context(), raw, cfg, nil)
		var alert *tlsengine.AlertError
		require.ErrorAs(t, err, &alert)
		require.Equal(t, tlsengine.AlertError{Alert: badCertificate, Remote: true}, *alert, "it is not about a certificate of the client")
		var he *tlsengine.HandshakeError
		require.False(t, errors.As(err, &he))
	})
}

// After the handshake as well.
func TestAlertOfAClientInData(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		ca := tlstest.NewCA(t)
		cfg := serving(t, ca.Leaf())
		cfg.ClientAuth, cfg.Trust = tlsengine.ClientAuthRequest, anchors(ca.Certificate)
		for _, id := range []*tlstest.Identity{nil, ca.Leaf(forClients)} {
			raw := tlstest.Connect(t, showing(clientConfig(ca, version), id), tlstest.FatalAlert)
			conn, err := tlsengine.Server(t.Context(), raw, cfg, nil)
			require.NoError(t, err)
			_, err = conn.Read(make([]byte, 1))
			var alert *tlsengine.AlertError
			require.ErrorAs(t, err, &alert)
			require.Equal(t, tlsengine.AlertError{Alert: 20, Remote: true}, *alert)
			require.NoError(t, conn.Abort())
		}
	})
}

func TestSilentClient(t *testing.T) {
	t.Parallel()
	cause := errors.New("changed my mind")
	cfg := serving(t, tlstest.NewCA(t).Leaf())
	for _, hello := range []string{"", "\x16", "\x16\x03\x01\x00\x50\x01"} {
		ctx, cancel := context.WithCancelCause(t.Context())
		release := make(chan string, 1)
		raw := tlstest.ConnectRaw(t, func(c net.Conn) {
			time.Sleep(10 * time.Millisecond)
			cancel(cause)
			_, _ = c.Write([]byte(<-release))
		})
		_, err := tlsengine.Server(ctx, raw, cfg, []byte(hello))
		require.ErrorIs(t, err, cause)

		// raw is open, and no deadline is left on it.
		release <- "x"
		_, err = raw.Read(make([]byte, 1))
		require.NoError(t, err)

		_, err = tlsengine.Server(ctx, raw, cfg, nil)
		require.ErrorIs(t, err, cause, "an ended context never starts")
	}
	raw := tlstest.ConnectRaw(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	require.NoError(t, raw.SetReadDeadline(time.Now()))
	_, err := tlsengine.Server(t.Context(), raw, cfg, nil)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
}
