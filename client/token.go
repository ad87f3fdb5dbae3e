package client

import (
	"context"
	"errors"
	"os"
	"regexp"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "securesocket/gen/securesocket/v1"
)

// maxTokenBytes is less than the headers of a request may have: 16 KiB at the service.
const maxTokenBytes = 12 << 10

// bearerToken is what a bearer token consists of, RFC 6750 section 2.1.
var bearerToken = regexp.MustCompile(`^[A-Za-z0-9\-._~+/]+=*$`)

// tokenSource returns a token. It is called for every call, and keeps none itself.
type tokenSource func(context.Context) (string, error)

// WithToken sends a bearer token with every call, as RFC 6750 has it: what token returns when the call is made. It is
// called from several goroutines at once, and keeps what it can use again; ctx is the call's. Its errors fail the call as
// UNAUTHENTICATED, and their text is told. A token is refused over a grpc address, where anybody can read it, unless there
// is WithInsecureToken; over a Unix socket it is sent. nil changes nothing.
func WithToken(token func(ctx context.Context) (string, error)) Option {
	return func(c *config) {
		if token != nil {
			c.access.token, c.access.tokenOption = token, "WithToken"
		}
	}
}

// WithTokenFile is WithToken with what a file has, without white space around it. Dial looks at it, and every call reads
// it: it may be replaced at any time, best by rename, so that it is never there by half.
func WithTokenFile(path string) Option {
	return func(c *config) {
		c.access.token, c.access.tokenOption = fileToken(path), "WithTokenFile"
		c.access.tokenFile = path
	}
}

// WithInsecureToken allows that a token goes over a grpc address in clear: where the network is trusted like a wire
// inside the machine.
func WithInsecureToken() Option {
	return func(c *config) { c.access.insecureToken = true }
}

func fileToken(path string) tokenSource {
	return func(context.Context) (string, error) {
		content, err := readCredential("WithTokenFile", path)
		if err != nil {
			return "", err
		}
		token := strings.TrimSpace(string(content))
		if err := checkToken(token); err != nil {
			return "", &CredentialsError{Option: "WithTokenFile", File: path, Problem: err.Error()}
		}
		return token, nil
	}
}

// checkToken says what is wrong with a token, and nothing of what is in it.
func checkToken(token string) error {
	switch {
	case token == "":
		return errors.New("has no token")
	case len(token) > maxTokenBytes:
		return errors.New("the token has more than 12 KiB")
	case !bearerToken.MatchString(token):
		return errors.New("the token has characters that a bearer token cannot have (RFC 6750 section 2.1)")
	}
	return nil
}

// bearer is gRPC's view of a tokenSource.
type bearer struct {
	source tokenSource
	secure bool // the way is encrypted, and must be
}

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (b *bearer) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	token, err := b.source(ctx)
	if err == nil {
		err = checkToken(token)
	}
	switch {
	case err == nil:
		return map[string]string{"authorization": "Bearer " + token}, nil
	case ctx.Err() != nil:
		return nil, status.FromContextError(ctx.Err()).Err() // whatever it looked like from inside
	}
	text := err.Error()
	if e, ok := errors.AsType[*CredentialsError](err); ok {
		text = strconv.Quote(e.File) + " " + e.Problem
	}
	return nil, &wayError{Error{
		Code: codes.Unauthenticated, Reason: pb.ErrorReason_ERROR_REASON_UNAUTHENTICATED,
		Message: "there is no token to send: " + text, Metadata: map[string]string{"service": wayToken},
		remedy: wayAdvices[wayToken], cause: err,
	}}
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (b *bearer) RequireTransportSecurity() bool { return b.secure }

// readCredential reads a small file. The error is a *CredentialsError.
func readCredential(option, path string) ([]byte, error) {
	const most = 1 << 20
	content, err := os.ReadFile(path)
	switch {
	case err != nil:
		return nil, &CredentialsError{Option: option, File: path, Problem: "cannot be read: " + pathless(err), cause: err}
	case len(content) > most:
		return nil, &CredentialsError{Option: option, File: path, Problem: "has more than 1 MiB"}
	}
	return content, nil
}
