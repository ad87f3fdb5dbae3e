package callers

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// JWT says which JSON Web Tokens (RFC 7519) are accepted. A token needs the issuer,
// the audience, a subject, a time when it ends, a "kid", and a signature of
// RS256 to RS512, PS256 to PS512, ES256 to ES512 or EdDSA.
type JWT struct {
	// Issuer is what the claim "iss" has to say, to the letter. Required. Without
	// KeysFile it is an https URL from which the keys are found (OpenID Connect
	// Discovery 1.0); http is for loopback addresses.
	Issuer string
	// Audience is what the claim "aud" has to contain. Required: a token for another
	// service must not open this one.
	Audience string
	// SubjectClaim is the claim that names the caller, a string; "": "sub". An issuer
	// must let nobody choose it for themselves.
	SubjectClaim string
	// KeysFile holds the issuer's public keys as a JWK set (RFC 7517), instead of
	// asking the issuer. "": the issuer is asked.
	KeysFile string
	// CAFile holds, in PEM, the authorities that vouch for the issuer's server; "":
	// those of the system. Not used with KeysFile.
	CAFile string
}

const (
	// clockSkew is how far the issuer's clock may be ahead. A token's end gets none:
	// who made it short meant it.
	clockSkew = 30 * time.Second
	// maxTrusted is how long a verified token is believed without another look at the
	// keys.
	maxTrusted = 5 * time.Minute
)

// algorithms are the signatures that are accepted. None of them is made with what
// verifies it, so that a public key is never a secret.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
	jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// jwtKeys are the keys of an issuer.
type jwtKeys interface {
	// epoch is comparable, and another one after every change that may have taken a key away.
	epoch() any
	// verify returns the payload of a token that one of the keys signed.
	verify(ctx context.Context, token string, signed *jose.JSONWebSignature) ([]byte, error)
	reload() error
	close()
}

type jwtVerifier struct {
	cfg   JWT
	keys  jwtKeys
	now   func() time.Time
	known jwtCache
}

func newJWTVerifier(cfg JWT, log *slog.Logger, now func() time.Time) (*jwtVerifier, error) {
	if cfg.Issuer == "" {
		return nil, &ConfigError{"JWT.Issuer", "it is required"}
	}
	if cfg.Audience == "" {
		return nil, &ConfigError{"JWT.Audience", "it is required: a token for another service must not open this one"}
	}
	if cfg.SubjectClaim == "" {
		cfg.SubjectClaim = "sub"
	}
	v := &jwtVerifier{cfg: cfg, now: now}
	var err error
	if cfg.KeysFile != "" {
		v.keys, err = newKeysFile(cfg.KeysFile, log, now)
	} else {
		v.keys, err = newIssuer(cfg, now)
	}
	return v, err
}

func (v *jwtVerifier) close() { v.keys.close() }

func (v *jwtVerifier) reload() error { return v.keys.reload() }

// principal says whose token it is.
func (v *jwtVerifier) principal(ctx context.Context, token string) (string, error) {
	epoch, hash, now := v.keys.epoch(), sha256.Sum256([]byte(token)), v.now()
	if p, ok := v.known.get(epoch, hash, now); ok {
		return p, nil
	}
	signed, err := jose.ParseSignedCompact(token, algorithms)
	var algorithm *jose.ErrUnexpectedSignatureAlgorithm
	switch {
	case errors.As(err, &algorithm):
		return "", &TokenError{TokenAlgorithm}
	case err != nil || len(signed.Signatures) != 1:
		return "", &TokenError{TokenMalformed}
	case signed.Signatures[0].Header.KeyID == "":
		return "", &TokenError{TokenKey}
	}
	payload, err := v.keys.verify(ctx, token, signed)
	if err != nil {
		return "", err
	}
	p, expires, err := v.judge(payload, now)
	if err != nil {
		return "", err
	}
	if limit := now.Add(maxTrusted); expires.After(limit) {
		expires = limit
	}
	v.known.put(epoch, hash, known{p, now, expires}, now)
	return p, nil
}

// judge reads the claims of a token whose signature was verified. They are read
// from a map because encoding/json takes "SUB" for "sub" in a struct, and an issuer
// may let its users choose the claims that it does not know.
func (v *jwtVerifier) judge(payload []byte, now time.Time) (p string, expires time.Time, err error) {
	fail := func(why TokenFault) (string, time.Time, error) { return "", time.Time{}, &TokenError{why} }
	var claims map[string]json.RawMessage
	if json.Unmarshal(payload, &claims) != nil {
		return fail(TokenMalformed)
	}
	if issuer, ok := textClaim(claims["iss"]); !ok || issuer != v.cfg.Issuer {
		return fail(TokenIssuer)
	}
	if !slices.Contains(textsClaim(claims["aud"]), v.cfg.Audience) {
		return fail(TokenAudience)
	}
	expires, ok := dateClaim(claims["exp"])
	if !ok {
		return fail(TokenMalformed)
	}
	if !now.Before(expires) {
		return fail(TokenExpired)
	}
	if raw, there := claims["nbf"]; there {
		begins, ok := dateClaim(raw)
		if !ok {
			return fail(TokenMalformed)
		}
		if now.Add(clockSkew).Before(begins) {
			return fail(TokenNotYet)
		}
	}
	name, ok := textClaim(claims[v.cfg.SubjectClaim])
	if !ok {
		return fail(TokenSubject)
	}
	if p, ok = principal(KindJWT, name); !ok {
		return fail(TokenSubject)
	}
	return p, expires, nil
}

func textClaim(raw json.RawMessage) (text string, ok bool) {
	return text, len(raw) > 0 && raw[0] == '"' && json.Unmarshal(raw, &text) == nil
}

// textsClaim reads a string or an array of strings (RFC 7519 section 4.1.3).
func textsClaim(raw json.RawMessage) (texts []string) {
	if text, ok := textClaim(raw); ok {
		return []string{text}
	}
	if len(raw) == 0 || json.Unmarshal(raw, &texts) != nil {
		return nil
	}
	return texts
}

// dateClaim reads a NumericDate, which may have a fraction (RFC 7519 section 2).
func dateClaim(raw json.RawMessage) (time.Time, bool) {
	var seconds float64
	if len(raw) == 0 || raw[0] == 'n' || json.Unmarshal(raw, &seconds) != nil || seconds < 0 || seconds > 1<<40 {
		return time.Time{}, false
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9)), true
}
