package callers

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

// webIssuer is an OpenID Connect issuer on the loopback.
type webIssuer struct {
	*identityProvider
	server               *httptest.Server
	discoveries, fetches atomic.Int64

	mu        sync.Mutex
	discovery http.HandlerFunc // in the place of the document
	keys      http.HandlerFunc // in the place of the keys
}

const (
	discoveryPath = "/.well-known/openid-configuration"
	keysPath      = "/keys"
)

func newWebIssuer(t *testing.T) *webIssuer {
	t.Helper()
	i := &webIssuer{identityProvider: newIdentityProvider(t)}
	i.server = httptest.NewTLSServer(i)
	t.Cleanup(i.server.Close)
	i.issuer = i.server.URL
	return i
}

func (i *webIssuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	discovery, keys, set := i.discovery, i.keys, i.set
	i.mu.Unlock()
	switch r.URL.Path {
	case discoveryPath:
		i.discoveries.Add(1)
		if discovery == nil {
			discovery = i.document(i.issuer, i.server.URL+keysPath)
		}
		discovery(w, r)
	case keysPath:
		i.fetches.Add(1)
		if keys == nil {
			keys = func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(set) }
		}
		keys(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (*webIssuer) document(issuer, keys string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": issuer, "jwks_uri": keys, "id_token_signing_alg_values_supported": []string{"none", "HS256"}})
	}
}

func (i *webIssuer) answer(discovery, keys http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.discovery, i.keys = discovery, keys
}

// config is a configuration that asks i.
func (i *webIssuer) config(t *testing.T) *JWT {
	t.Helper()
	authorities := filepath.Join(t.TempDir(), "ca.pem")
	write(t, authorities, pemOf("CERTIFICATE", i.server.Certificate().Raw))
	return &JWT{Issuer: i.issuer, Audience: testAudience, CAFile: authorities}
}

func TestJWTFromAnIssuer(t *testing.T) {
	t.Parallel()
	i := newWebIssuer(t)
	w := newWorld(t, Config{JWT: i.config(t)})
	require.Zero(t, i.discoveries.Load(), "nobody asked yet")
	var all sync.WaitGroup
	for range 8 {
		conn := w.dial(w.unix, nil)
		all.Go(func() {
			for range 4 {
				p, err := w.who(conn, "Bearer "+i.token(t, nil))
				if err != nil || p != "jwt:alice" {
					t.Errorf("%q, %v", p, err)
				}
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 1, i.discoveries.Load())
	fetched := i.fetches.Load()
	require.Positive(t, fetched)

	conn := w.dial(w.unix, nil)
	for why, token := range map[TokenFault]string{
		TokenIssuer:    i.token(t, map[string]any{"iss": "https://other.example"}),
		TokenAudience:  i.token(t, map[string]any{"aud": "other"}),
		TokenExpired:   i.token(t, map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}),
		TokenNotYet:    i.token(t, map[string]any{"nbf": time.Now().Add(4 * time.Minute).Unix()}),
		TokenAlgorithm: signed(t, jose.HS256, make([]byte, 64), "k1", i.claims(nil)),
		TokenKey:       signed(t, jose.ES256, i.key, "", i.claims(nil)),
		TokenMalformed: i.token(t, map[string]any{"exp": nil}),
	} {
		_, err := w.who(conn, "Bearer "+token)
		w.refusedToken(err, why)
	}
	require.Equal(t, fetched, i.fetches.Load())
}

// TestInventedKeysDoNotFloodTheIssuer: each makes go-oidc look for new keys.
func TestInventedKeysDoNotFloodTheIssuer(t *testing.T) {
	t.Parallel()
	i := newWebIssuer(t)
	w := newWorld(t, Config{JWT: i.config(t)})
	conn := w.dial(w.unix, nil)
	_, err := w.who(conn, "Bearer "+i.token(t, nil))
	require.NoError(t, err)
	for n := range 200 {
		_, err := w.who(conn, "Bearer "+signed(t, jose.ES256, i.key, "invented"+string(rune('a'+n)), i.claims(nil)))
		var te *TokenError
		require.ErrorAs(t, err, &te)
		require.Contains(t, []TokenFault{TokenKey, TokenSignature}, te.Why)
	}
	_, err = w.who(conn, "Bearer "+i.token(t, map[string]any{"jti": "new"}))
	require.NoError(t, err, "known keys need nobody")
	// The bucket holds fetchBurst; a slow machine may see a few drops more.
	require.Less(t, i.fetches.Load(), int64(50))
}

func TestIssuerChangesItsKeys(t *testing.T) {
	t.Parallel()
	var c clock
	i := newWebIssuer(t)
	w := newWorld(t, Config{JWT: i.config(t), Now: c.now})
	conn := w.dial(w.unix, nil)
	old := i.token(t, map[string]any{"exp": time.Now().Add(10 * time.Hour).Unix()})
	_, err := w.who(conn, "Bearer "+old)
	require.NoError(t, err)

	next := newIdentityProvider(t)
	next.kid, next.issuer = "k2", i.issuer
	i.mu.Lock()
	i.set.Keys = []jose.JSONWebKey{{Key: &next.key.PublicKey, KeyID: "k2"}}
	i.mu.Unlock()
	_, err = w.who(conn, "Bearer "+next.token(t, map[string]any{"exp": time.Now().Add(10 * time.Hour).Unix()}))
	require.NoError(t, err, "a new key is found when it is needed")

	c.forward(refreshEvery + time.Minute)
	_, err = w.who(conn, "Bearer "+old)
	w.refusedToken(err, TokenSignature)
}

func TestIssuerThatFails(t *testing.T) {
	t.Parallel()
	ours := func(i *webIssuer) http.HandlerFunc { return i.document(i.issuer, i.server.URL+keysPath) }
	large := func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"x":"` + strings.Repeat("a", maxFetchBytes) + `"}`))
	}
	broken := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusInternalServerError) }
	var reached atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(elsewhere.Close)
	redirect := func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) }
	loop := func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }
	for name, tc := range map[string]struct {
		discovery, keys func(*webIssuer) http.HandlerFunc
	}{
		"is another":        {func(i *webIssuer) http.HandlerFunc { return i.document("https://other.example", i.server.URL+keysPath) }, nil},
		"keys over http":    {func(i *webIssuer) http.HandlerFunc { return i.document(i.issuer, elsewhere.URL) }, nil},
		"no keys":           {func(i *webIssuer) http.HandlerFunc { return i.document(i.issuer, "") }, nil},
		"keys in a file":    {func(i *webIssuer) http.HandlerFunc { return i.document(i.issuer, "file:///etc/passwd") }, nil},
		"document error":    {func(*webIssuer) http.HandlerFunc { return broken }, nil},
		"document large":    {func(*webIssuer) http.HandlerFunc { return large }, nil},
		"document redirect": {func(*webIssuer) http.HandlerFunc { return redirect }, nil},
		"document loop":     {func(*webIssuer) http.HandlerFunc { return loop }, nil},
		"keys error":        {ours, func(*webIssuer) http.HandlerFunc { return broken }},
		"keys large":        {ours, func(*webIssuer) http.HandlerFunc { return large }},
		"keys redirect":     {ours, func(*webIssuer) http.HandlerFunc { return redirect }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c clock
			i := newWebIssuer(t)
			var keys http.HandlerFunc
			if tc.keys != nil {
				keys = tc.keys(i)
			}
			i.answer(tc.discovery(i), keys)
			w := newWorld(t, Config{JWT: i.config(t), Now: c.now})
			conn := w.dial(w.unix, nil)
			for range 2 * fetchBurst {
				_, err := w.who(conn, "Bearer "+i.token(t, nil))
				var ie *IssuerError
				require.ErrorAs(t, err, &ie)
			}
			asked := i.discoveries.Load()
			require.Less(t, asked, int64(10))
			_, err := w.who(conn)
			require.NoError(t, err, "others are served")

			if tc.keys != nil {
				return // asked for keys often enough, by a clock that is not the test's
			}
			i.answer(nil, nil)
			c.forward(2 * retryEvery)
			_, err = w.who(conn, "Bearer "+i.token(t, nil))
			require.NoError(t, err, "as soon as it can")
		})
	}
	t.Cleanup(func() { require.Zero(t, reached.Load(), "another host was asked") })
}

func TestIssuerWithoutAKnownCertificate(t *testing.T) {
	t.Parallel()
	i := newWebIssuer(t)
	i.server.Config.ErrorLog = nil
	cfg := i.config(t)
	write(t, cfg.CAFile, newCA(t).pem())
	w := newWorld(t, Config{JWT: cfg})
	_, err := w.who(w.dial(w.unix, nil), "Bearer "+i.token(t, nil))
	var ie *IssuerError
	require.ErrorAs(t, err, &ie)
	require.Zero(t, i.discoveries.Load())
}

// TestWaitingForTheIssuerEnds with the RPC, and with Close.
func TestWaitingForTheIssuerEnds(t *testing.T) {
	t.Parallel()
	for _, slowKeys := range []bool{false, true} {
		i := newWebIssuer(t)
		asked := make(chan struct{}, 16)
		silent := func(_ http.ResponseWriter, r *http.Request) {
			asked <- struct{}{}
			<-r.Context().Done()
		}
		if slowKeys {
			i.answer(nil, silent)
		} else {
			i.answer(silent, nil)
		}
		v, err := newJWTVerifier(*i.config(t), nil, time.Now)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 2)
		ask := func(ctx context.Context) {
			_, err := v.principal(ctx, i.token(t, nil))
			failed <- err
		}
		go ask(ctx)
		<-asked
		cancel()
		var ie *IssuerError
		require.ErrorAs(t, <-failed, &ie)
		require.ErrorIs(t, ie, context.Canceled)

		go ask(t.Context())
		if !slowKeys {
			<-asked
		}
		v.close()
		v.close()
		require.ErrorAs(t, <-failed, &ie)
		require.True(t, errors.Is(ie, context.Canceled) || errors.Is(ie, errClosed), "not by its own timeout")
		_, err = v.principal(t.Context(), i.token(t, nil))
		require.Error(t, err)
		var te *TokenError
		require.False(t, errors.As(err, &te), "not the caller's fault")
	}
}

func TestReloadAsksTheIssuerAgain(t *testing.T) {
	t.Parallel()
	i := newWebIssuer(t)
	w := newWorld(t, Config{JWT: i.config(t)})
	conn := w.dial(w.unix, nil)
	for n := range 2 {
		_, err := w.who(conn, "Bearer "+i.token(t, nil))
		require.NoError(t, err)
		require.EqualValues(t, n+1, i.discoveries.Load())
		require.NoError(t, w.callers.Reload())
	}
}

// TestIssuerThatIsAway for a while costs nobody anything but new keys.
func TestIssuerThatIsAway(t *testing.T) {
	t.Parallel()
	var c clock
	i := newWebIssuer(t)
	w := newWorld(t, Config{JWT: i.config(t), Now: c.now})
	conn := w.dial(w.unix, nil)
	token := i.token(t, map[string]any{"exp": time.Now().Add(100 * time.Hour).Unix()})
	_, err := w.who(conn, "Bearer "+token)
	require.NoError(t, err)
	broken := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusInternalServerError) }
	i.answer(broken, broken)
	require.NoError(t, w.callers.Reload())
	for range 3 {
		c.forward(refreshEvery)
		_, err = w.who(conn, "Bearer "+token)
		require.NoError(t, err)
	}
	require.Greater(t, i.discoveries.Load(), int64(2), "it was asked")
	c.forward(maxStale)
	_, err = w.who(conn, "Bearer "+token)
	var ie *IssuerError
	require.ErrorAs(t, err, &ie)
}
