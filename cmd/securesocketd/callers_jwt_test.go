package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"securesocket/server/callers"
)

// issuer makes JSON Web Tokens.
type issuer struct {
	tb  testing.TB
	key *ecdsa.PrivateKey
	kid string
}

func newIssuer(tb testing.TB, kid string) *issuer {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(tb, err)
	return &issuer{tb, key, kid}
}

// keys is the issuer's JWKS.
func (i *issuer) keys() []byte {
	i.tb.Helper()
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &i.key.PublicKey, KeyID: i.kid, Algorithm: "ES256", Use: "sig"}}})
	require.NoError(i.tb, err)
	return text
}

// claims are good ones with changes.
func (i *issuer) claims(changes map[string]any) []byte {
	i.tb.Helper()
	claims := map[string]any{"iss": "https://issuer.test", "aud": "securesocket", "sub": "alice", "exp": time.Now().Add(time.Hour).Unix()}
	maps.Copy(claims, changes)
	text, err := json.Marshal(claims)
	require.NoError(i.tb, err)
	return text
}

func (i *issuer) token(changes map[string]any) string {
	i.tb.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: i.key}, (&jose.SignerOptions{}).WithHeader("kid", i.kid))
	require.NoError(i.tb, err)
	signed, err := signer.Sign(i.claims(changes))
	require.NoError(i.tb, err)
	token, err := signed.CompactSerialize()
	require.NoError(i.tb, err)
	return token
}

// A token of the operator's issuer says who calls.
func TestJSONWebTokensOfCallers(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, "k1")
	file := filepath.Join(t.TempDir(), "jwks.json")
	require.NoError(t, os.WriteFile(file, i.keys(), 0o600))
	g := gated(t, "callers: {allow: [\"jwt:alice\", \"jwt:team-*\"], administrators: [\"jwt:team-*\"], jwt: {issuer: \"https://issuer.test\", audience: securesocket, jwks: "+file+"}}\n")
	cc := g.connect(g.client())
	good := i.token(nil)
	g.is("jwt:alice", cc, good)
	resp, err := who(t, cc, i.token(map[string]any{"sub": "team-1", "aud": []string{"x", "securesocket"}}))
	require.NoError(t, err)
	require.Equal(t, "jwt:team-1", resp.GetPrincipal())
	require.True(t, resp.GetAdministrator())

	encode := base64.RawURLEncoding.EncodeToString
	parts := strings.Split(good, ".")
	forged := encode(i.claims(map[string]any{"sub": "team-forged"}))
	for name, tc := range map[string]struct {
		token string
		why   callers.TokenFault
	}{
		"wrong audience":    {i.token(map[string]any{"aud": "another"}), callers.TokenAudience},
		"wrong issuer":      {i.token(map[string]any{"iss": "https://issuer.test.evil"}), callers.TokenIssuer},
		"expired":           {i.token(map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}), callers.TokenExpired},
		"not yet":           {i.token(map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}), callers.TokenNotYet},
		"no subject":        {i.token(map[string]any{"sub": nil}), callers.TokenSubject},
		"a pattern":         {i.token(map[string]any{"sub": "team-*"}), callers.TokenSubject},
		"another's key":     {newIssuer(t, "k1").token(nil), callers.TokenSignature},
		"an unknown key":    {newIssuer(t, "k2").token(nil), callers.TokenKey},
		"none":              {encode([]byte(`{"alg":"none","kid":"k1"}`)) + "." + parts[1] + ".", callers.TokenAlgorithm},
		"None":              {encode([]byte(`{"alg":"None","kid":"k1"}`)) + "." + parts[1] + "." + parts[2], callers.TokenAlgorithm},
		"the key as HMAC's": {encode([]byte(`{"alg":"HS256","kid":"k1"}`)) + "." + parts[1] + "." + parts[2], callers.TokenAlgorithm},
		"other claims":      {parts[0] + "." + forged + "." + parts[2], callers.TokenSignature},
		"no signature":      {parts[0] + "." + parts[1] + ".", callers.TokenSignature},
	} {
		t.Run(name, func(t *testing.T) {
			g.refuses(codes.Unauthenticated, "UNAUTHENTICATED", string(tc.why), cc, tc.token)
		})
	}
	g.refuses(codes.PermissionDenied, "NOT_ALLOWED", "", cc, i.token(map[string]any{"sub": "mallory"}))
	g.refuses(codes.PermissionDenied, "NOT_ALLOWED", "", cc, i.token(map[string]any{"sub": "alice2"}))

	// A key that is taken away takes its tokens along, also those that were verified before.
	next := newIssuer(t, "k2")
	replace(t, file, next.keys())
	require.NoError(t, g.cmd.Process.Signal(syscall.SIGHUP))
	soon(t, "the key is gone", func() bool { _, err := who(t, cc, good); return err != nil })
	g.refuses(codes.Unauthenticated, "UNAUTHENTICATED", string(callers.TokenKey), cc, good)
	g.is("jwt:alice", cc, next.token(nil))
}
