package callers

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/time/rate"
)

const (
	// refreshEvery is how long keys are believed that the issuer may have withdrawn:
	// go-oidc asks again for keys that it does not know, and never drops any.
	refreshEvery = time.Hour
	// maxStale is how much longer they are believed while the issuer does not answer.
	maxStale = 24 * time.Hour
	// retryEvery is how long an issuer that failed is left alone.
	retryEvery = 5 * time.Second
	// A token with an invented "kid" makes go-oidc ask the issuer: that must not let
	// callers use the service to flood it.
	fetchEvery = 5 * time.Second
	fetchBurst = 4
)

// errTooSoon says that the issuer was asked for its keys often enough.
var errTooSoon = errors.New("the issuer was asked a moment ago")

// IssuerError says that the keys of the issuer cannot be had, so that nobody can
// say whether a token is good. It is not the caller's fault, and may pass.
type IssuerError struct {
	// Err is what went wrong.
	Err error
}

func (e *IssuerError) Error() string { return "the keys of the token's issuer cannot be had" }

// Unwrap returns Err, whose text may come from the issuer.
func (e *IssuerError) Unwrap() error { return e.Err }

// issuer is an OpenID Connect issuer, asked for its keys as they are needed.
type issuer struct {
	url       string
	now       func() time.Time
	transport *fetcher
	discovery *http.Client // asks where the keys are
	fetching  *http.Client // fetches them, seldom
	current   atomic.Pointer[discovered]

	turn   chan struct{} // holds one: who discovers takes it, and puts it back
	failed error         // of the last discovery; guarded by turn
	again  time.Time     // when to discover again after failed; guarded by turn
}

// discovered is where the issuer keeps its keys, and those that were fetched.
type discovered struct {
	keys    *oidc.RemoteKeySet
	until   time.Time   // when the issuer has to be asked again
	failing atomic.Bool // whether its keys could not be fetched the last time
}

func newIssuer(cfg JWT, now func() time.Time) (*issuer, error) {
	if _, err := issuerURL(cfg.Issuer, ""); err != nil {
		return nil, &ConfigError{"JWT.Issuer", err.Error()}
	}
	transport, err := newFetcher(cfg.CAFile)
	if err != nil {
		return nil, err
	}
	i := &issuer{url: cfg.Issuer, now: now, transport: transport, turn: make(chan struct{}, 1)}
	i.discovery = transport.client(nil)
	i.fetching = transport.client(rate.NewLimiter(rate.Every(fetchEvery), fetchBurst))
	return i, nil
}

// issuerURL judges a URL that is asked for keys: https, or http at a loopback
// address. What an issuer found over https leads to may not be http.
func issuerURL(text, from string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return nil, errors.New("it is no https URL")
	case u.Scheme == "https":
		return u, nil
	case u.Scheme == "http" && from != "https":
		if addr, err := netip.ParseAddr(u.Hostname()); err == nil && addr.IsLoopback() {
			return u, nil
		}
	}
	return nil, errors.New("it is no https URL; http is for loopback addresses")
}

func (i *issuer) epoch() any { return i.current.Load() }

// reload makes the next token discover the issuer anew.
func (i *issuer) reload() error {
	if found := i.current.Load(); found != nil {
		i.current.CompareAndSwap(found, &discovered{keys: found.keys, until: i.now()})
	}
	return nil
}

func (i *issuer) close() { i.transport.close() }

func (i *issuer) verify(ctx context.Context, token string, _ *jose.JSONWebSignature) ([]byte, error) {
	found, err := i.discovered(ctx)
	if err != nil {
		return nil, err
	}
	// Claims are judged by jwtVerifier, for file and issuer alike.
	keys := &watchedKeys{RemoteKeySet: found.keys}
	verifier := oidc.NewVerifier(i.url, keys, &oidc.Config{
		SkipClientIDCheck: true, SkipIssuerCheck: true, SkipExpiryCheck: true, SupportedSigningAlgs: algorithmNames(),
	})
	verified, err := verifier.Verify(ctx, token)
	// What go-oidc says of a signature wraps nothing; what it says of fetching does.
	switch {
	case ctx.Err() != nil:
		return nil, &IssuerError{ctx.Err()}
	case errors.Is(keys.err, errTooSoon) && !found.failing.Load():
		return nil, &TokenError{TokenKey}
	case errors.Unwrap(keys.err) != nil:
		found.failing.Store(true)
		return nil, &IssuerError{keys.err}
	case keys.err != nil:
		found.failing.Store(false)
		return nil, &TokenError{TokenSignature} // or an unknown key: go-oidc does not say which
	case err != nil:
		return nil, &TokenError{TokenMalformed}
	}
	var payload json.RawMessage
	if verified.Claims(&payload) != nil {
		return nil, &TokenError{TokenMalformed}
	}
	return payload, nil
}

// watchedKeys keeps the error of a set of keys, of which the verifier keeps the
// text alone. For one token.
type watchedKeys struct {
	*oidc.RemoteKeySet
	err error
}

func (w *watchedKeys) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	payload, err := w.RemoteKeySet.VerifySignature(ctx, token)
	w.err = err
	return payload, err
}

// discovered returns where the keys are, after asking the issuer where that is due.
// One caller asks at a time; the others wait for it, or go on with old keys.
func (i *issuer) discovered(ctx context.Context) (*discovered, error) {
	found, now := i.current.Load(), i.now()
	if found != nil && now.Before(found.until) {
		return found, nil
	}
	usable := found != nil && now.Before(found.until.Add(maxStale))
	select {
	case i.turn <- struct{}{}:
		defer func() { <-i.turn }()
	default:
		if usable {
			return found, nil
		}
		select {
		case i.turn <- struct{}{}:
			defer func() { <-i.turn }()
		case <-ctx.Done():
			return nil, &IssuerError{ctx.Err()}
		}
	}
	if next := i.current.Load(); next != nil && now.Before(next.until) {
		return next, nil // somebody else was faster
	}
	if i.failed == nil || !now.Before(i.again) {
		next, err := i.discover(ctx)
		if err == nil {
			next.until = now.Add(refreshEvery)
			i.failed = nil
			i.current.Store(next)
			return next, nil
		}
		if ctx.Err() != nil {
			return nil, &IssuerError{ctx.Err()} // the RPC's end says nothing about the issuer
		}
		i.failed, i.again = err, now.Add(retryEvery)
	}
	if usable {
		return found, nil
	}
	return nil, &IssuerError{i.failed}
}

func (i *issuer) discover(ctx context.Context) (*discovered, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, i.discovery), i.url)
	if err != nil {
		return nil, err
	}
	var document struct {
		Keys string `json:"jwks_uri"`
	}
	if err := provider.Claims(&document); err != nil {
		return nil, err
	}
	from, err := issuerURL(i.url, "")
	if err != nil {
		return nil, err
	}
	if _, err := issuerURL(document.Keys, from.Scheme); err != nil {
		return nil, err
	}
	return &discovered{keys: oidc.NewRemoteKeySet(oidc.ClientContext(context.WithoutCancel(ctx), i.fetching), document.Keys)}, nil
}

func algorithmNames() []string {
	names := make([]string, len(algorithms))
	for i, a := range algorithms {
		names[i] = string(a)
	}
	return names
}
