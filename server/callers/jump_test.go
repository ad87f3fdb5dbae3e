package callers

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/tlstest/wallclock"
)

const decade = 10 * 365 * 24 * time.Hour

// The wall clock jumps: tokens are judged by the time that it is now.
func TestThreat54JWTAfterAJump(t *testing.T) {
	t.Parallel()
	var clock wallclock.Clock
	i := newIdentityProvider(t)
	w := newWorld(t, Config{JWT: i.file(t), Now: clock.Now})
	conn := w.dial(w.unix, nil)
	for _, ahead := range []time.Duration{0, decade, -decade, 0} {
		clock.Set(ahead)
		span := func(from, to time.Duration) string {
			now := clock.Now()
			return "Bearer " + i.token(t, map[string]any{"nbf": now.Add(from).Unix(), "exp": now.Add(to).Unix()})
		}
		// Each is seen for the first time.
		_, err := w.who(conn, span(-time.Minute, time.Hour))
		require.NoError(t, err, "%v", ahead)
		_, err = w.who(conn, span(-time.Hour, -time.Minute))
		w.refusedToken(err, TokenExpired)
		_, err = w.who(conn, span(time.Hour, 2*time.Hour))
		w.refusedToken(err, TokenNotYet)
	}
}

// Files of keys go on being looked at, though the clock was set back for years.
func TestThreat54KeysAfterAJump(t *testing.T) {
	t.Parallel()
	for name, by := range map[string]time.Duration{"ahead": decade, "back": -decade} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var clock wallclock.Clock
			i := newIdentityProvider(t)
			w := newWorld(t, Config{JWT: i.file(t), Now: clock.Now})
			conn := w.dial(w.unix, nil)
			forever := map[string]any{"exp": time.Now().Add(2 * decade).Unix()}
			old := "Bearer " + i.token(t, forever)
			_, err := w.who(conn, old)
			require.NoError(t, err)
			clock.Set(by)
			_, err = w.who(conn, old)
			require.NoError(t, err)

			next := newIdentityProvider(t)
			next.kid = "k2"
			i.set.Keys = next.set.Keys
			i.set.Keys[0].KeyID = "k2"
			i.publish(t)
			clock.Set(by + 2*pollEvery)
			_, err = w.who(conn, old)
			w.refusedToken(err, TokenKey)
			_, err = w.who(conn, "Bearer "+next.token(t, forever))
			require.NoError(t, err)
		})
	}
}

// What was believed before is judged again.
func TestThreat54KnownJWTAfterAJump(t *testing.T) {
	t.Parallel()
	for want, by := range map[TokenFault]time.Duration{TokenExpired: decade, TokenNotYet: -decade} {
		var clock wallclock.Clock
		i := newIdentityProvider(t)
		w := newWorld(t, Config{JWT: i.file(t), Now: clock.Now})
		conn := w.dial(w.unix, nil)
		token := "Bearer " + i.token(t, map[string]any{"nbf": time.Now().Add(-time.Minute).Unix()})
		for range 2 {
			_, err := w.who(conn, token)
			require.NoError(t, err)
		}
		clock.Set(by)
		_, err := w.who(conn, token)
		w.refusedToken(err, want)
		clock.Set(0)
		_, err = w.who(conn, token)
		require.NoError(t, err)
	}
}

// A connection's certificate is judged again when the clock was set, either way.
func TestThreat54CertificateAfterAJump(t *testing.T) {
	t.Parallel()
	var clock wallclock.Clock
	f := newFiles(t)
	w := newWorld(t, Config{TLS: &f.TLS, Now: clock.Now})
	conn := w.dial(w.secure, f.client(f.ca.leaf(x509.Certificate{DNSNames: []string{"a.example"}, NotAfter: time.Now().Add(time.Hour)})))
	for _, by := range []time.Duration{decade, -decade} {
		clock.Set(0)
		_, err := w.who(conn)
		require.NoError(t, err)
		clock.Set(by)
		_, err = w.who(conn)
		w.refusedCertificate(err, CertificateExpired)
	}
	clock.Set(0)
	_, err := w.who(conn)
	require.NoError(t, err)
}
