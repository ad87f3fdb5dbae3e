package proxy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"

	"securesocket/session/proxy"
	"securesocket/tlsengine/secret"

	"github.com/stretchr/testify/require"
)

func TestConfigs(t *testing.T) {
	t.Parallel()
	const http, socks = proxy.HTTPConnect, proxy.SOCKS5
	long := strings.Repeat("x", 255)
	for _, tc := range []struct {
		cfg   proxy.Config
		field string // empty: it is good
	}{
		{proxy.Config{http, "", secret.FromString("")}, ""},
		{proxy.Config{http, "u", secret.FromString("")}, ""},
		{proxy.Config{http, "u", secret.FromString("p:p")}, ""},
		{proxy.Config{http, "ü", secret.FromString("pä\u0080")}, ""},
		{proxy.Config{http, long, secret.FromString(long)}, ""},
		{proxy.Config{socks, "", secret.FromString("")}, ""},
		{proxy.Config{socks, "u:\n", secret.FromString("p\x00")}, ""},
		{proxy.Config{socks, long, secret.FromString(long)}, ""},
		{proxy.Config{0, "", secret.FromString("")}, "kind"},
		{proxy.Config{3, "", secret.FromString("")}, "kind"},
		{proxy.Config{-1, "u", secret.FromString("p")}, "kind"},
		{proxy.Config{http, "u:", secret.FromString("p")}, "username"},
		{proxy.Config{http, "u\n", secret.FromString("p")}, "username"},
		{proxy.Config{http, "u", secret.FromString("p\r\nX: y")}, "password"},
		{proxy.Config{http, "u", secret.FromString("\x7f")}, "password"},
		{proxy.Config{http, "", secret.FromString("p")}, "username"},
		{proxy.Config{http, long + "x", secret.FromString("p")}, "username"},
		{proxy.Config{http, "u", secret.FromString(long + "x")}, "password"},
		{proxy.Config{socks, "u", secret.FromString("")}, "password"},
		{proxy.Config{socks, "", secret.FromString("p")}, "username"},
		{proxy.Config{socks, long + "x", secret.FromString("p")}, "username"},
		{proxy.Config{socks, "u", secret.FromString(long + "x")}, "password"},
	} {
		err := tc.cfg.Validate()
		if tc.field == "" {
			require.NoError(t, err)
			continue
		}
		var config *proxy.ConfigError
		require.ErrorAs(t, err, &config)
		require.Equal(t, tc.field, config.Field)
		near, far := net.Pipe()
		require.ErrorAs(t, proxy.Ask(t.Context(), near, tc.cfg, target4), &config, "Ask judges it too")
		_, _ = near.Close(), far.Close()
	}
}

func TestPasswordIsNeverPrinted(t *testing.T) {
	t.Parallel()
	for _, kind := range []proxy.Kind{proxy.HTTPConnect, proxy.SOCKS5, 0} {
		cfg := proxy.Config{Kind: kind, Username: username, Password: secret.FromString(password)}
		type holder struct {
			Config  proxy.Config
			Pointer *proxy.Config
		}
		var out bytes.Buffer
		text := slog.New(slog.NewTextHandler(&out, nil))
		encoded := slog.New(slog.NewJSONHandler(&out, nil))
		for _, v := range []any{cfg, &cfg, holder{cfg, &cfg}, &holder{cfg, &cfg}, []proxy.Config{cfg}, map[string]any{"k": cfg}} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
				fmt.Fprintf(&out, verb+"\n", v)
			}
			text.Info("m", "v", v)
			encoded.Info("m", "v", v)
			require.NoError(t, json.NewEncoder(&out).Encode(v))
		}
		requireNoSecret(t, out.String())
	}
}

func TestPasswordIsInNoError(t *testing.T) {
	t.Parallel()
	for _, cfg := range kinds {
		cfg.Username, cfg.Password = username, secret.FromString(password)
		for _, answer := range []string{
			"HTTP/1.1 407 bad: " + password + "\r\n\r\n", "HTTP/1.1 407 QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n",
			"HTTP/1.1 200 OK\r\n" + password + "\r\n\r\n", password, "\x05\xff", "\x05\x02\x01\x01", "\x05\x02\x01\x00\x05\x01",
		} {
			conn := script(t, nil, func(conn *net.TCPConn) {
				_, _ = conn.Write([]byte(answer))
				fin(conn)
			})
			err := proxy.Ask(t.Context(), conn, cfg, target4)
			require.Error(t, err)
			var out bytes.Buffer
			slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "err", err)
			for ; err != nil; err = errors.Unwrap(err) {
				fmt.Fprintf(&out, "%v %+v %#v %q\n", err, err, err, err)
			}
			requireNoSecret(t, out.String())
		}
	}
	for _, cfg := range []proxy.Config{
		{Kind: proxy.HTTPConnect, Username: username, Password: secret.FromString(password + "\n")},
		{Kind: proxy.SOCKS5, Username: username, Password: secret.FromString(strings.Repeat(password, 255))},
		{Kind: 9, Username: username, Password: secret.FromString(password)},
	} {
		err := cfg.Validate()
		require.Error(t, err)
		requireNoSecret(t, fmt.Sprintf("%v %+v %#v", err, err, err))
	}
}

// requireNoSecret also knows the password's usual encodings.
func requireNoSecret(t *testing.T, s string) {
	t.Helper()
	require.NotEmpty(t, s)
	for _, secret := range []string{
		password, "QWxhZGRpbjpvcGVuIHNlc2FtZQ", fmt.Sprintf("%x", password), fmt.Sprintf("%X", password), fmt.Sprintf("%d", []byte(password)),
	} {
		require.NotContains(t, s, secret)
	}
}
