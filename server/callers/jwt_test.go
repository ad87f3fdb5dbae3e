package callers

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

const (
	testAudience = "securesocket"
	testIssuer   = "https://issuer.example"
)

// identityProvider makes tokens.
type identityProvider struct {
	issuer string
	key    *ecdsa.PrivateKey
	kid    string
	set    jose.JSONWebKeySet
	path   string // of the set, once there is one
}

func newIdentityProvider(t testing.TB) *identityProvider {
	t.Helper()
	i := &identityProvider{issuer: testIssuer, key: newKey(t), kid: "k1"}
	i.set.Keys = []jose.JSONWebKey{{Key: &i.key.PublicKey, KeyID: i.kid, Algorithm: "ES256", Use: "sig"}}
	return i
}

// file is a configuration with the keys in a file.
func (i *identityProvider) file(t testing.TB) *JWT {
	t.Helper()
	i.path = filepath.Join(t.TempDir(), "keys.json")
	i.publish(t)
	return &JWT{Issuer: i.issuer, Audience: testAudience, KeysFile: i.path}
}

func (i *identityProvider) publish(t testing.TB) {
	t.Helper()
	text, err := json.Marshal(i.set)
	require.NoError(t, err)
	write(t, i.path, text)
}

// claims are good ones with changes; nil takes one away.
func (i *identityProvider) claims(changes map[string]any) map[string]any {
	claims := map[string]any{
		"iss": i.issuer, "aud": []string{"other", testAudience}, "sub": "alice", "exp": time.Now().Add(time.Hour).Unix(),
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

// token makes a token with changes to its claims.
func (i *identityProvider) token(t testing.TB, changes map[string]any) string {
	t.Helper()
	return signed(t, jose.ES256, i.key, i.kid, i.claims(changes))
}

func signed(t testing.TB, algorithm jose.SignatureAlgorithm, key any, kid string, claims any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	require.NoError(t, err)
	var opts jose.SignerOptions
	if kid != "" {
		opts.WithHeader("kid", kid)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, &opts)
	require.NoError(t, err)
	jws, err := signer.Sign(payload)
	require.NoError(t, err)
	token, err := jws.CompactSerialize()
	require.NoError(t, err)
	return token
}

func segment(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func TestJWTFromAFileOfKeys(t *testing.T) {
	t.Parallel()
	i := newIdentityProvider(t)
	w := newWorld(t, Config{JWT: i.file(t), Allow: []string{"jwt:alice"}})
	conn := w.dial(w.unix, nil)
	for name, changes := range map[string]map[string]any{
		"several audiences": nil,
		"one audience":      {"aud": testAudience},
		"begun":             {"nbf": time.Now().Add(-time.Minute).Unix()},
		"clocks differ":     {"nbf": time.Now().Add(10 * time.Second).Unix()},
		"a fraction":        {"exp": float64(time.Now().Unix()) + 100.5},
		"claims in capital": {"SUB": "root", "Sub": "root", "Iss": "x", "EXP": 1},
	} {
		for range 2 { // the second is remembered
			p, err := w.who(conn, "Bearer "+i.token(t, changes))
			require.NoError(t, err, name)
			require.Equal(t, "jwt:alice", p, name)
			require.True(t, w.callers.Allowed(p))
		}
	}
	for name, tc := range map[string]struct {
		why     TokenFault
		changes map[string]any
	}{
		"another issuer":       {TokenIssuer, map[string]any{"iss": testIssuer + "/"}},
		"no issuer":            {TokenIssuer, map[string]any{"iss": nil}},
		"issuers":              {TokenIssuer, map[string]any{"iss": []string{testIssuer}}},
		"another audience":     {TokenAudience, map[string]any{"aud": "other"}},
		"no audience":          {TokenAudience, map[string]any{"aud": nil}},
		"mixed audiences":      {TokenAudience, map[string]any{"aud": []any{testAudience, 1}}},
		"expired":              {TokenExpired, map[string]any{"exp": time.Now().Add(-time.Second).Unix()}},
		"no end":               {TokenMalformed, map[string]any{"exp": nil}},
		"an end that is text":  {TokenMalformed, map[string]any{"exp": "9999999999"}},
		"an end that is huge":  {TokenMalformed, map[string]any{"exp": 1e300}},
		"not begun":            {TokenNotYet, map[string]any{"nbf": time.Now().Add(10 * time.Minute).Unix()}},
		"a beginning is text":  {TokenMalformed, map[string]any{"nbf": "0"}},
		"no subject":           {TokenSubject, map[string]any{"sub": nil}},
		"an empty subject":     {TokenSubject, map[string]any{"sub": ""}},
		"subject is a number":  {TokenSubject, map[string]any{"sub": 1}},
		"subject is a pattern": {TokenSubject, map[string]any{"sub": "*"}},
		"subject with a line":  {TokenSubject, map[string]any{"sub": "a\nb"}},
		"subject too long":     {TokenSubject, map[string]any{"sub": strings.Repeat("a", maxPrincipal)}},
	} {
		_, err := w.who(conn, "Bearer "+i.token(t, tc.changes))
		var te *TokenError
		require.ErrorAs(t, err, &te, name)
		require.Equal(t, tc.why, te.Why, name)
	}
}

func TestJWTForgeries(t *testing.T) {
	t.Parallel()
	i := newIdentityProvider(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	i.set.Keys = append(i.set.Keys, jose.JSONWebKey{Key: &rsaKey.PublicKey, KeyID: "rsa"}, jose.JSONWebKey{Key: &rsaKey.PublicKey, KeyID: "rs384", Algorithm: "RS384"})
	w := newWorld(t, Config{JWT: i.file(t)})
	conn := w.dial(w.unix, nil)
	public, err := x509.MarshalPKIXPublicKey(&rsaKey.PublicKey)
	require.NoError(t, err)
	payload, err := json.Marshal(i.claims(nil))
	require.NoError(t, err)
	body := segment(string(payload))
	good := i.token(t, nil)
	parts := strings.Split(good, ".")
	stranger := newKey(t)
	embedded, err := json.Marshal(jose.JSONWebKey{Key: &stranger.PublicKey})
	require.NoError(t, err)
	header := segment(`{"alg":"ES256","kid":"k1","jwk":` + string(embedded) + `}`)

	for name, tc := range map[string]struct {
		why   TokenFault
		token string
	}{
		"none":                     {TokenAlgorithm, segment(`{"alg":"none","kid":"k1"}`) + "." + body + "."},
		"None":                     {TokenAlgorithm, segment(`{"alg":"None","kid":"k1"}`) + "." + body + "."},
		"none with a signature":    {TokenAlgorithm, segment(`{"alg":"none","kid":"k1"}`) + "." + body + "." + parts[2]},
		"public key as secret":     {TokenAlgorithm, signed(t, jose.HS256, pemOf("PUBLIC KEY", public), "rsa", i.claims(nil))},
		"public key as secret DER": {TokenAlgorithm, signed(t, jose.HS512, public, "rsa", i.claims(nil))},
		"no signature":             {TokenSignature, parts[0] + "." + parts[1] + "."},
		"other claims":             {TokenSignature, parts[0] + "." + segment(`{"sub":"root"}`) + "." + parts[2]},
		"a stranger's key":         {TokenSignature, signed(t, jose.ES256, stranger, "k1", i.claims(nil))},
		"brings its own key":       {TokenSignature, header + "." + body + "." + parts[2]},
		"another key's name":       {TokenKey, signed(t, jose.ES256, i.key, "k2", i.claims(nil))},
		"no key's name":            {TokenKey, signed(t, jose.ES256, i.key, "", i.claims(nil))},
		"another algorithm's key":  {TokenKey, signed(t, jose.RS256, rsaKey, "rs384", i.claims(nil))},
		"another type's key":       {TokenSignature, signed(t, jose.ES256, i.key, "rsa", i.claims(nil))},
		"critical header":          {TokenSignature, segment(`{"alg":"ES256","kid":"k1","crit":["x"],"x":1}`) + "." + body + "." + parts[2]},
		"no header":                {TokenAlgorithm, "." + body + "." + parts[2]},
		"garbage":                  {TokenMalformed, "a.b.c"},
		"dots":                     {TokenAlgorithm, ".."},
		"encrypted":                {TokenUnknown, "a.b.c.d.e"},
		"huge":                     {TokenTooLong, parts[0] + "." + strings.Repeat("a", maxTokenBytes) + "." + parts[2]},
		"padded":                   {TokenMalformed, good + "=="},
	} {
		_, err := w.who(conn, "Bearer "+tc.token)
		var te *TokenError
		require.ErrorAs(t, err, &te, name)
		require.Equal(t, tc.why, te.Why, name)
		require.NotContains(t, err.Error(), body, name)
	}
	p, err := w.who(conn, "Bearer "+good)
	require.NoError(t, err)
	require.Equal(t, "jwt:alice", p)
}

func TestJWTAlgorithms(t *testing.T) {
	t.Parallel()
	i := newIdentityProvider(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	require.NoError(t, err)
	edPublic, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	i.set.Keys = []jose.JSONWebKey{
		{Key: &i.key.PublicKey, KeyID: "p256"}, {Key: &p384.PublicKey, KeyID: "p384"}, {Key: &p521.PublicKey, KeyID: "p521"},
		{Key: &rsaKey.PublicKey, KeyID: "rsa"}, {Key: edPublic, KeyID: "ed"},
	}
	w := newWorld(t, Config{JWT: i.file(t)})
	conn := w.dial(w.unix, nil)
	keys := map[jose.SignatureAlgorithm]struct {
		key any
		kid string
	}{
		jose.ES256: {i.key, "p256"}, jose.ES384: {p384, "p384"}, jose.ES512: {p521, "p521"}, jose.EdDSA: {ed, "ed"},
	}
	for _, a := range algorithms {
		k, ok := keys[a]
		if !ok {
			k.key, k.kid = rsaKey, "rsa"
		}
		p, err := w.who(conn, "Bearer "+signed(t, a, k.key, k.kid, i.claims(nil)))
		require.NoError(t, err, a)
		require.Equal(t, "jwt:alice", p)
	}
}

func TestJWTEndsWithItsTime(t *testing.T) {
	t.Parallel()
	var c clock
	i := newIdentityProvider(t)
	cfg := i.file(t)
	cfg.SubjectClaim = "email"
	w := newWorld(t, Config{JWT: cfg, Now: c.now})
	conn := w.dial(w.unix, nil)
	_, err := w.who(conn, "Bearer "+i.token(t, nil))
	w.refusedToken(err, TokenSubject)
	token := i.token(t, map[string]any{"email": "al@b.example"})
	for _, ahead := range []time.Duration{0, time.Minute, 20 * time.Minute} {
		c.forward(ahead)
		p, err := w.who(conn, "Bearer "+token)
		require.NoError(t, err)
		require.Equal(t, "jwt:al@b.example", p)
	}
	c.forward(time.Hour)
	_, err = w.who(conn, "Bearer "+token)
	w.refusedToken(err, TokenExpired)
}

func TestJWTKeyTakenAway(t *testing.T) {
	t.Parallel()
	var c clock
	i := newIdentityProvider(t)
	w := newWorld(t, Config{JWT: i.file(t), Now: c.now})
	conn := w.dial(w.unix, nil)
	old := i.token(t, nil)
	_, err := w.who(conn, "Bearer "+old)
	require.NoError(t, err)

	next := newIdentityProvider(t)
	next.kid = "k2"
	i.set.Keys = []jose.JSONWebKey{{Key: &next.key.PublicKey, KeyID: "k2"}}
	i.publish(t)
	c.forward(2 * pollEvery)
	_, err = w.who(conn, "Bearer "+old)
	w.refusedToken(err, TokenKey)
	_, err = w.who(conn, "Bearer "+next.token(t, nil))
	require.NoError(t, err)
}

func TestKeysFile(t *testing.T) {
	t.Parallel()
	public := func(key any, kid string) jose.JSONWebKey { return jose.JSONWebKey{Key: key, KeyID: kid} }
	key := newKey(t)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	many := make([]jose.JSONWebKey, maxKeys+1)
	for n := range many {
		many[n] = public(&key.PublicKey, string(rune('a'+n)))
	}
	text := func(keys ...jose.JSONWebKey) string {
		b, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
		require.NoError(t, err)
		return string(b)
	}
	for name, content := range map[string]string{
		"no JSON":       "x",
		"no keys":       `{}`,
		"not keys":      `{"keys":[1]}`,
		"a private key": text(public(key, "a")),
		"a secret":      text(public([]byte("secret"), "a")),
		"no kid":        text(public(&key.PublicKey, "")),
		"a kid twice":   text(public(&key.PublicKey, "a"), public(&key.PublicKey, "a")),
		"a short key":   text(public(&weak.PublicKey, "a")),
		"too many":      text(many...),
		"off the curve": `{"keys":[{"kty":"EC","crv":"P-256","kid":"a","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}`,
		"only others":   text(jose.JSONWebKey{Key: &key.PublicKey, KeyID: "a", Use: "enc"}),
	} {
		_, err := parseKeys("f", []byte(content))
		var fe *FileError
		require.ErrorAs(t, err, &fe, name)
		require.Less(t, len(err.Error()), 200, name)
	}
	good := text(jose.JSONWebKey{Key: &key.PublicKey, KeyID: "enc", Use: "enc"}, public(&key.PublicKey, "a"))
	good = strings.Replace(good, `{"keys":[`, `{"keys":[{"kty":"OKP","crv":"Ed448","kid":"x","x":"AA"},{"kty":"EC","alg":"ES256K"},`, 1)
	keys, err := parseKeys("f", []byte(good))
	require.NoError(t, err)
	require.Len(t, *keys, 1)
	require.Contains(t, *keys, "a")
}

func TestCacheOfTokensIsBounded(t *testing.T) {
	t.Parallel()
	var c jwtCache
	now := time.Now()
	hash := func(n int) [sha256.Size]byte { return sha256.Sum256([]byte{byte(n), byte(n >> 8), byte(n >> 16)}) }
	for n := range 3 * maxKnown {
		_, ok := c.get("a", hash(n), now)
		require.False(t, ok)
		c.put("a", hash(n), known{"jwt:x", now, now.Add(time.Hour)}, now)
		require.LessOrEqual(t, len(c.entries), maxKnown)
		p, ok := c.get("a", hash(n), now)
		require.True(t, ok)
		require.Equal(t, "jwt:x", p)
	}
	last := hash(3*maxKnown - 1)
	_, ok := c.get("a", last, now.Add(time.Hour))
	require.False(t, ok, "over")
	c.put("a", last, known{"jwt:x", now, now.Add(time.Hour)}, now)
	_, ok = c.get("b", last, now)
	require.False(t, ok, "other keys")
	c.put("a", last, known{"jwt:x", now, now.Add(time.Hour)}, now)
	_, ok = c.get("b", last, now)
	require.False(t, ok, "verified by keys that are gone")
}

func FuzzJWT(f *testing.F) {
	i := newIdentityProvider(f)
	v, err := newJWTVerifier(*i.file(f), nil, time.Now)
	require.NoError(f, err)
	f.Add("a.b.c")
	f.Add(i.token(f, map[string]any{"exp": 1}))
	f.Add(segment(`{"alg":"none","kid":"k1"}`) + "." + segment(`{"sub":"root"}`) + ".")
	f.Fuzz(func(t *testing.T, token string) {
		_, err := v.principal(t.Context(), token)
		var te *TokenError
		require.ErrorAs(t, err, &te, "nobody can guess a signature")
	})
}

func FuzzClaims(f *testing.F) {
	v := &jwtVerifier{cfg: JWT{Issuer: "i", Audience: "a", SubjectClaim: "sub"}}
	f.Add([]byte(`{"iss":"i","aud":"a","sub":"s","exp":9999999999}`))
	f.Add([]byte(`{"iss":"i","aud":["a"],"sub":"uid:0","exp":9999999999.5,"nbf":0}`))
	f.Add([]byte(`[null]`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		now := time.Now()
		p, expires, err := v.judge(payload, now)
		if err != nil {
			var te *TokenError
			require.ErrorAs(t, err, &te)
			return
		}
		require.Equal(t, KindJWT, KindOf(p))
		require.True(t, expires.After(now))
		_, err = parsePattern(p)
		require.NoError(t, err)
	})
}
