package tlsengine_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"securesocket/tlsengine"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
)

func requireKind(t *testing.T, err error, want tlsengine.HandshakeKind) *tlsengine.HandshakeError {
	t.Helper()
	var he *tlsengine.HandshakeError
	require.ErrorAs(t, err, &he)
	require.Equal(t, want, he.Kind, "%v", err)
	return he
}

// say answers the hello with bytes and half-closes.
func say(answer string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = c.Write([]byte(answer))
		_ = c.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, c)
	}
}

func TestNotTLS(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"HTTP": "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", "SSH": "SSH-2.0-OpenSSH_9.6\r\n",
		"SMTP": "220 mail.example ESMTP\r\n", "short": "ok\n", "PostgreSQL": "N", "zeros": "\x00\x00\x00\x00\x00\x00\x00",
		"SSL 2": "\x80\x2e\x01\x00\x02",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := client(t, tlstest.ServeRaw(t, say(answer)), trusting(tlstest.NewCA(t)))
			requireKind(t, err, tlsengine.NotTLS)
		})
	}
}

func TestMisbehaved(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"handshake message that is none": "\x16\x03\x03\x00\x04\x63\x00\x00\x00",
		"oversized record":               "\x16\x03\x03\xff\xff",
		"empty server hello":             "\x16\x03\x03\x00\x04\x02\x00\x00\x00",
		"alert of three bytes":           "\x15\x03\x03\x00\x03\x02\x28\x00",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := client(t, tlstest.ServeRaw(t, say(answer)), trusting(tlstest.NewCA(t)))
			requireKind(t, err, tlsengine.Misbehaved)
		})
	}
}

func TestHandshakeEnds(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		handle func(net.Conn)
		want   tlsengine.End
	}{
		"FIN at once":     {say(""), tlsengine.EndTruncated},
		"FIN in a header": {say("\x16\x03"), tlsengine.EndTruncatedRecord},
		"FIN in a record": {say("\x16\x03\x03\x00\x50\x02"), tlsengine.EndTruncatedRecord},
		"close_notify":    {say("\x15\x03\x03\x00\x02\x01\x00"), tlsengine.EndCloseNotify},
		"reset":           {func(c net.Conn) { _, _ = c.Read(make([]byte, 5)); _ = c.(*net.TCPConn).SetLinger(0) }, tlsengine.EndReset},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := client(t, tlstest.ServeRaw(t, tc.handle), trusting(tlstest.NewCA(t)))
			end, ok := tlsengine.EndOf(err)
			require.True(t, ok, "%v", err)
			require.Equal(t, tc.want, end, "%v", err)
			require.False(t, errors.Is(err, io.EOF))
		})
	}
}

func TestRemoteAlertInHandshake(t *testing.T) {
	t.Parallel()
	for alert, want := range map[uint8]tlsengine.HandshakeKind{
		40: tlsengine.Incompatible, 70: tlsengine.Incompatible, 71: tlsengine.Incompatible,
		120: tlsengine.ALPNMismatch, 112: 0, 80: 0, 49: 0,
	} {
		_, err := client(t, tlstest.ServeRaw(t, say("\x15\x03\x03\x00\x02\x02"+string([]byte{alert}))), trusting(tlstest.NewCA(t)))
		if want != 0 {
			requireKind(t, err, want)
		} else {
			var he *tlsengine.HandshakeError
			require.False(t, errors.As(err, &he))
		}
		var ae *tlsengine.AlertError
		require.ErrorAs(t, err, &ae)
		require.Equal(t, tlsengine.AlertError{Alert: alert, Remote: true}, *ae)
	}
}

func TestVersionMismatch(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	leaf := ca.Leaf()
	cfg := trusting(ca)
	cfg.MinVersion = tls.VersionTLS13
	_, err := client(t, tlstest.Serve(t, serverConfig(leaf, tls.VersionTLS12), tlstest.Echo), cfg)
	he := requireKind(t, err, tlsengine.Incompatible)
	require.True(t, he.Alert.Remote)

	cfg = trusting(ca)
	cfg.MaxVersion = tls.VersionTLS12
	_, err = client(t, tlstest.Serve(t, serverConfig(leaf, tls.VersionTLS13), tlstest.Echo), cfg)
	requireKind(t, err, tlsengine.Incompatible)

	// A server that goes on with TLS 1.0 all the same: the refusal is ours.
	hello := "\x16\x03\x01\x00\x2a\x02\x00\x00\x26\x03\x01" + string(make([]byte, 32)) + "\x00\x00\x2f\x00"
	_, err = client(t, tlstest.ServeRaw(t, say(hello)), trusting(ca))
	he = requireKind(t, err, tlsengine.Incompatible)
	require.Equal(t, tlsengine.AlertError{Alert: 70}, *he.Alert)
}

func TestSuiteMismatch(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	conf := serverConfig(ca.Leaf(), tls.VersionTLS12)
	conf.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}
	cfg := trusting(ca)
	cfg.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_AES_128_GCM_SHA256}
	_, err := client(t, tlstest.Serve(t, conf, tlstest.Echo), cfg)
	requireKind(t, err, tlsengine.Incompatible)
}

func TestALPN(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		ca := tlstest.NewCA(t)
		conf := serverConfig(ca.Leaf(), version)
		silent := tlstest.Serve(t, conf, tlstest.Echo)
		conf.NextProtos = []string{"imap"}
		imap := tlstest.Serve(t, conf, tlstest.Echo)

		cfg := trusting(ca)
		cfg.ALPN = []string{"pop3", "imap"}
		conn, err := client(t, imap, cfg)
		require.NoError(t, err)
		require.Equal(t, "imap", conn.State().ALPN)
		conn, err = client(t, silent, cfg)
		require.NoError(t, err)
		require.Empty(t, conn.State().ALPN)

		cfg.RequireALPN = true
		_, err = client(t, silent, cfg)
		requireKind(t, err, tlsengine.ALPNMismatch)
		cfg.ALPN = []string{"pop3"}
		_, err = client(t, imap, cfg)
		he := requireKind(t, err, tlsengine.ALPNMismatch)
		require.Equal(t, tlsengine.AlertError{Alert: 120, Remote: true}, *he.Alert)

		// The verdict comes first.
		cfg.Trust = tlsengine.Trust{}
		_, err = client(t, silent, cfg)
		require.Equal(t, tlsengine.StatusUntrustedSigners, requireRefused(t, err).Status)
	})
}

func TestState(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		ca := tlstest.NewCA(t)
		sni := make(chan string, 1)
		cfg := trusting(ca)
		for sent, want := range map[string]string{
			"localhost": "localhost", "LocalHost.": "localhost", "": "", "127.0.0.1": "", "::1": "",
			"bücher.example": "xn--bcher-kva.example", "under_score.example": "under_score.example",
		} {
			cfg.ServerName = sent
			conn, err := client(t, tlstest.Serve(t, serverConfig(ca.Leaf(), version), func(c *tls.Conn) {
				sni <- c.ConnectionState().ServerName
			}), cfg)
			require.NoError(t, err)
			require.Equal(t, want, <-sni)
			state := conn.State()
			require.Equal(t, want, state.ServerName)
			require.Equal(t, version, state.Version)
			require.NotZero(t, state.Group)
			suite, ok := tlsengine.SuiteByID(state.CipherSuite)
			require.True(t, ok)
			require.Equal(t, version == tls.VersionTLS13, suite.TLS13)
			require.False(t, state.Resumed)
		}
	})
}

func TestContextEndsHandshake(t *testing.T) {
	t.Parallel()
	cause := errors.New("changed my mind")
	ctx, cancel := context.WithCancelCause(t.Context())
	release := make(chan string, 1)
	raw := dialRaw(t, tlstest.ServeRaw(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 5))
		cancel(cause)
		_, _ = c.Write([]byte(<-release))
	}))
	_, err := tlsengine.Client(ctx, raw, trusting(tlstest.NewCA(t)))
	require.ErrorIs(t, err, cause)

	// raw is open, and no deadline is left on it.
	release <- "x"
	_, err = raw.Read(make([]byte, 1))
	require.NoError(t, err)

	_, err = tlsengine.Client(ctx, raw, trusting(tlstest.NewCA(t)))
	require.ErrorIs(t, err, cause, "an ended context never starts")
}

func TestRawDeadlineEndsHandshake(t *testing.T) {
	t.Parallel()
	raw := dialRaw(t, tlstest.ServeRaw(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }))
	require.NoError(t, raw.SetReadDeadline(time.Now()))
	_, err := tlsengine.Client(t.Context(), raw, trusting(tlstest.NewCA(t)))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
}

func TestRawStaysOpenOnFailure(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		ca := tlstest.NewCA(t)
		seen := make(chan error, 1)
		address := tlstest.ServeRaw(t, func(c net.Conn) {
			seen <- tls.Server(c, serverConfig(ca.Leaf(), version)).Handshake()
		})
		raw := dialRaw(t, address)
		_, err := tlsengine.Client(t.Context(), raw, trusting(tlstest.NewCA(t)))
		requireRefused(t, err)
		err = <-seen
		var op *net.OpError
		require.ErrorAs(t, err, &op)
		require.Equal(t, "remote error", op.Op, "the peer gets an alert")
		require.NoError(t, raw.SetDeadline(time.Time{}), "open")
	})
}

func TestConfigErrors(t *testing.T) {
	t.Parallel()
	good := trusting(tlstest.NewCA(t))
	for name, tc := range map[string]struct {
		field  string
		change func(*tlsengine.Config)
	}{
		"no verify name":       {"VerifyNames", func(c *tlsengine.Config) { c.VerifyNames = nil }},
		"empty verify name":    {"VerifyNames", func(c *tlsengine.Config) { c.VerifyNames = []string{"localhost", ""} }},
		"wildcard":             {"VerifyNames", func(c *tlsengine.Config) { c.VerifyNames = []string{"*.example"} }},
		"empty URI":            {"VerifyNames", func(c *tlsengine.Config) { c.VerifyNames = []string{"uri:"} }},
		"empty label":          {"VerifyNames", func(c *tlsengine.Config) { c.VerifyNames = []string{"a..b"} }},
		"broken A-label":       {"VerifyNames", func(c *tlsengine.Config) { c.VerifyNames = []string{"xn--\x00"} }},
		"NUL":                  {"VerifyNames", func(c *tlsengine.Config) { c.VerifyNames = []string{"good.example\x00.evil"} }},
		"server name":          {"ServerName", func(c *tlsengine.Config) { c.ServerName = "a b" }},
		"SSL 3":                {"MinVersion", func(c *tlsengine.Config) { c.MinVersion = 0x300 }},
		"future version":       {"MaxVersion", func(c *tlsengine.Config) { c.MaxVersion = 0x305 }},
		"versions crossed":     {"MinVersion", func(c *tlsengine.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS13, tls.VersionTLS12 }},
		"no suite":             {"CipherSuites", func(c *tlsengine.Config) { c.CipherSuites = []uint16{} }},
		"unknown suite":        {"CipherSuites", func(c *tlsengine.Config) { c.CipherSuites = []uint16{0xfefe} }},
		"only suites of 1.3":   {"CipherSuites", func(c *tlsengine.Config) { c.CipherSuites, c.MaxVersion = []uint16{0x1301}, tls.VersionTLS12 }},
		"empty protocol":       {"ALPN", func(c *tlsengine.Config) { c.ALPN = []string{""} }},
		"nothing to require":   {"RequireALPN", func(c *tlsengine.Config) { c.RequireALPN = true }},
		"nil anchor":           {"Trust.Anchors", func(c *tlsengine.Config) { c.Trust.Anchors = append(c.Trust.Anchors[:1:1], nil) }},
		"nil intermediate":     {"Trust.Intermediates", func(c *tlsengine.Config) { c.Trust.Intermediates = append(c.Trust.Intermediates, nil) }},
		"zero configuration":   {"VerifyNames", func(c *tlsengine.Config) { *c = tlsengine.Config{} }},
		"only a server's name": {"VerifyNames", func(c *tlsengine.Config) { *c = tlsengine.Config{ServerName: "localhost"} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := *good
			tc.change(&cfg)
			_, err := tlsengine.Client(t.Context(), nil, &cfg)
			var ce *tlsengine.ConfigError
			require.ErrorAs(t, err, &ce)
			require.Equal(t, tc.field, ce.Field)
		})
	}
	_, err := tlsengine.Client(t.Context(), nil, nil)
	var ce *tlsengine.ConfigError
	require.ErrorAs(t, err, &ce)
}

func TestOldVersionAndInsecureSuiteWhenAsked(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	conf := serverConfig(ca.Leaf(tlstest.RSA(2048)), tls.VersionTLS10)
	conf.CipherSuites = []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}
	cfg := trusting(ca)
	cfg.MinVersion, cfg.CipherSuites = tls.VersionTLS10, conf.CipherSuites
	conn, err := client(t, tlstest.Serve(t, conf, tlstest.Echo), cfg)
	require.NoError(t, err)
	require.Equal(t, uint16(tls.VersionTLS10), conn.State().Version)
	require.Zero(t, conn.State().Group)
}
