package callers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"google.golang.org/grpc/peer"
)

// ErrNoCredentials says that a caller showed nothing that could name it: a caller
// over TLS without certificate and token.
var ErrNoCredentials = errors.New("the caller has no credentials")

// ConfigError says what in a [Config] cannot be used.
type ConfigError struct {
	// Field is the name in Config, with dots.
	Field string
	// Why says what is wrong with it.
	Why string
}

func (e *ConfigError) Error() string { return fmt.Sprintf("%s: %s", e.Field, e.Why) }

// Config is what the operator decided. Its zero value serves Unix sockets alone,
// to every user who can open them.
type Config struct {
	// Insecure serves TCP connections that no [SecureListener] accepted: nothing of
	// theirs is encrypted, and who brings no token is [Anonymous].
	Insecure bool
	// TLS is for the connections of a SecureListener; nil: these are refused.
	TLS *TLS
	// JWT says whose JSON Web Tokens are accepted; nil: nobody's.
	JWT *JWT
	// TokensFile has lines of NAME sha256:HEX; "": there are no static tokens.
	TokensFile string

	// Allow lists who may call: principals, beginnings of principals with a "*" at
	// their end, or "*" for everybody. nil: those that the operator chose one by one
	// or by another setting, which are uid:*, token:* and anonymous. Whom a client
	// authority or an issuer of tokens vouches for needs a pattern. An empty list
	// that is not nil lets nobody in.
	Allow []string
	// Administrators lists who administers, as Allow does; nil: nobody. It does not
	// let anybody in whom Allow leaves out.
	Administrators []string

	// Logger gets what happens to files, and handshakes that failed: one a second as a warning, the rest as DEBUG. nil:
	// discards.
	Logger *slog.Logger
	// Refused is called for each TLS handshake that ends for the caller's certificate, or for want of one, by the
	// goroutine of that connection. nil: nobody counts them.
	Refused func()
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// byDefault are the patterns of a Config without Allow.
var byDefault = []string{KindUID + ":*", KindToken + ":*", Anonymous}

// Callers knows who calls. Made by New.
type Callers struct {
	insecure       bool
	allow          patterns
	administrators patterns
	log            *slog.Logger
	now            func() time.Time
	tls            *source[tlsFiles] // nil: not served
	tokens         *source[tokens]   // nil: there are none
	jwt            *jwtVerifier      // nil: there are none
	failures       handshakeFailures
	refused        func()
}

// New reads the files. It asks no issuer: that is for the first token to do. Its error joins all that is wrong.
func New(cfg Config) (*Callers, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Refused == nil {
		cfg.Refused = func() {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c := &Callers{insecure: cfg.Insecure, log: cfg.Logger, now: cfg.Now, refused: cfg.Refused}
	if cfg.Allow == nil {
		cfg.Allow = byDefault
	}
	var errs []error
	found := func(err error) { errs = append(errs, err) }
	c.allow = parsePatterns(cfg.Allow, found)
	c.administrators = parsePatterns(cfg.Administrators, found)
	if t := cfg.TLS; t != nil {
		copied := *t
		t = &copied
		err := t.check()
		if err == nil {
			parse := func(contents [][]byte) (*tlsFiles, error) {
				files, err := t.parse(contents, c.now)
				if err == nil {
					files.warn(c.log, t.CertFile)
				}
				return files, err
			}
			c.tls, err = newSource(c.log, c.now, parse, t.paths()...)
		}
		found(err)
	}
	if file := cfg.TokensFile; file != "" {
		var err error
		parse := func(contents [][]byte) (*tokens, error) {
			t, err := parseTokens(file, contents[0])
			if err == nil && len(*t) == 0 {
				c.log.Warn("the file of tokens has none: nobody is let in by a token of it", "file", file)
			}
			return t, err
		}
		c.tokens, err = newSource(c.log, c.now, parse, file)
		found(err)
	}
	if cfg.JWT != nil {
		v, err := newJWTVerifier(*cfg.JWT, c.log, c.now)
		if err == nil {
			c.jwt = v
		}
		found(err)
	}
	if err := errors.Join(errs...); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Close ends what is being fetched from the issuer and waits for it. Tokens that
// need its keys are refused from then on. What was still to be said about handshakes
// the log has when it returns.
func (c *Callers) Close() {
	c.failures.close(c.log)
	if c.jwt != nil {
		c.jwt.close()
	}
}

// Reload reads every file now, whether it seems to have changed or not. What cannot
// be used stays as it was, and is in the error.
func (c *Callers) Reload() error {
	var errs []error
	if c.tls != nil {
		errs = append(errs, c.tls.reload())
	}
	if c.tokens != nil {
		errs = append(errs, c.tokens.reload())
	}
	if c.jwt != nil {
		errs = append(errs, c.jwt.reload())
	}
	return errors.Join(errs...)
}

// Authenticate says who makes the RPC of ctx, whose connection has to be one of
// [Callers.Credentials]. It may wait for the issuer of a token, as long as ctx and
// not longer than some seconds. Its errors are [ErrNoCredentials], [TokenError],
// [CertificateError] and [IssuerError]; the first three are the caller's to mend.
func (c *Callers) Authenticate(ctx context.Context) (principal string, err error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return "", ErrNoCredentials
	}
	conn, ok := p.AuthInfo.(connection)
	if !ok {
		return "", ErrNoCredentials
	}
	principal, err = conn.principal()
	if err != nil {
		return "", err
	}
	token, err := bearer(ctx)
	switch {
	case err != nil:
		return "", err
	case token != "":
		if !conn.encrypted() && !c.insecure {
			return "", &TokenError{TokenUnencrypted}
		}
		return c.bearerPrincipal(ctx, token)
	case principal == "":
		return "", ErrNoCredentials
	}
	return principal, nil
}

// bearerPrincipal tells the two kinds of tokens apart by their shape.
func (c *Callers) bearerPrincipal(ctx context.Context, token string) (string, error) {
	isJWT := strings.Count(token, ".") == 2
	switch {
	case isJWT && c.jwt != nil:
		return c.jwt.principal(ctx, token)
	case !isJWT && c.tokens != nil:
		return c.tokens.get().principal(token)
	}
	return "", &TokenError{TokenUnknown}
}

// Allowed says whether a principal may call at all.
func (c *Callers) Allowed(principal string) bool { return c.allow.cover(principal) }

// Administrator says whether a principal administers.
func (c *Callers) Administrator(principal string) bool { return c.administrators.cover(principal) }
