package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/session"
	"securesocket/session/proxy"
	"securesocket/tlsengine/identity"
	"securesocket/tlsengine/secret"
	"securesocket/tlsengine/tlstest"
)

// bearers are what holds a secret for as long as a session or a request.
func bearers(t *testing.T, h *hoard) []any {
	t.Helper()
	ca := tlstest.NewCA(t)
	var settings session.Settings
	var pairs []identity.KeyPair
	for n, k := range h.keys {
		id := clientLeaf(ca, tlstest.Key(k.key))
		pair := identity.KeyPair{Chain: id.Chain, PrivateKey: pkcs8Of(t, k.key), Passphrase: h.passphrases[n%len(h.passphrases)]}
		own, err := identity.FromKeyPair(pair)
		require.NoError(t, err)
		settings.Identities = append(settings.Identities, own)
		pairs = append(pairs, pair)
	}
	via := proxyWith(h.passwords[0])
	settings.Proxy = &via
	settings = settings.Effective()
	held := map[string]*identity.Identity{}
	for i, own := range settings.Identities {
		held[fmt.Sprint(i)] = own
	}
	return []any{
		settings, &settings, []session.Settings{settings}, pairs, via, &via, via.Config, &via.Config,
		session.Config{Identities: held}, session.ListenArgs{Settings: settings}, &session.ListenArgs{Settings: settings},
		session.Snapshot{Settings: settings}, map[string]any{"settings": settings},
	}
}

func proxyWith(password string) session.Proxy {
	return session.Proxy{
		Target: session.Target{Name: "proxy.example", Port: 3128},
		Config: proxy.Config{Kind: proxy.HTTPConnect, Username: "user", Password: secret.FromString(password)},
	}
}

// hiding has something in a field of which fmt asks no methods.
type hiding struct{ hidden any }

// Whoever prints, logs or encodes settings, by mistake or for debugging, shows no secret.
func TestSettingsPrintNoSecret(t *testing.T) {
	t.Parallel()
	h := newHoard(t)
	for _, v := range bearers(t, h) {
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		for _, log := range []*slog.Logger{slog.New(slog.NewTextHandler(&out, nil)), slog.New(slog.NewJSONHandler(&out, nil))} {
			log.Info("m", "v", v, slog.Group("g", "v", v))
		}
		encoded, err := json.Marshal(v)
		if err == nil { // a configuration has functions
			out.Write(encoded)
		}
		require.NotEmpty(t, out.Bytes())
		require.Empty(t, h.sieve.find(out.Bytes()), reflect.TypeOf(v))
		switch reflect.TypeOf(v) {
		case reflect.TypeFor[[]identity.KeyPair](): // these live no longer than a call
		default:
			require.Empty(t, h.sieve.find(fmt.Appendf(nil, "%v %+v %#v", hiding{v}, hiding{v}, hiding{v})), "hidden %T", v)
		}
	}
}
