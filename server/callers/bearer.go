package callers

import (
	"context"
	"strings"

	"google.golang.org/grpc/metadata"
)

// TokenFault says why a token was not accepted.
type TokenFault string

// The faults of tokens. The strings are stable.
const (
	// TokenHeaders: the RPC has more than one authorization header.
	TokenHeaders TokenFault = "more than one authorization header"
	// TokenScheme: the header is not "Bearer TOKEN".
	TokenScheme TokenFault = "the authorization header is not a bearer token"
	// TokenTooLong: it is longer than any that is read.
	TokenTooLong TokenFault = "the token is too long"
	// TokenUnencrypted: the connection would show it to everybody on the way.
	TokenUnencrypted TokenFault = "a token came over a connection that is not encrypted"
	// TokenUnknown: no token of the operator's is like it, or there are none.
	TokenUnknown TokenFault = "the token is unknown"
	// TokenMalformed: it is no JSON Web Token, or lacks a claim, or has one of a wrong type.
	TokenMalformed TokenFault = "the token is malformed"
	// TokenAlgorithm: it is signed with none, with a shared secret, or unknown means.
	TokenAlgorithm TokenFault = "the token's algorithm is not accepted"
	// TokenKey: it names no key that the issuer has.
	TokenKey TokenFault = "the token's key is unknown"
	// TokenSignature: no key of the issuer's made its signature.
	TokenSignature TokenFault = "the token's signature is wrong"
	// TokenIssuer: somebody else issued it.
	TokenIssuer TokenFault = "the token's issuer is not accepted"
	// TokenAudience: it is meant for another service.
	TokenAudience TokenFault = "the token's audience is another"
	// TokenExpired: its time is over.
	TokenExpired TokenFault = "the token has expired"
	// TokenNotYet: its time has not begun.
	TokenNotYet TokenFault = "the token is not valid yet"
	// TokenSubject: the name in it cannot be a principal.
	TokenSubject TokenFault = "the token's subject cannot be a principal"
)

// TokenError says that the token of an RPC was not accepted. It holds nothing of
// the token.
type TokenError struct {
	// Why is one of the constants.
	Why TokenFault
}

func (e *TokenError) Error() string { return string(e.Why) }

// maxTokenBytes leaves room for other headers in a list of 16 KiB.
const maxTokenBytes = 8 << 10

// bearer returns the token of an RPC (RFC 6750 section 2.1); "" where it has none.
func bearer(ctx context.Context) (string, error) {
	headers := metadata.ValueFromIncomingContext(ctx, "authorization")
	switch len(headers) {
	case 0:
		return "", nil
	case 1:
	default:
		return "", &TokenError{TokenHeaders}
	}
	scheme, token, ok := strings.Cut(headers[0], " ")
	token = strings.TrimLeft(token, " ")
	switch {
	case !ok || !strings.EqualFold(scheme, "Bearer") || token == "" || strings.ContainsFunc(token, notToken68):
		return "", &TokenError{TokenScheme}
	case len(token) > maxTokenBytes:
		return "", &TokenError{TokenTooLong}
	}
	return token, nil
}

// notToken68 says whether r cannot be in a bearer token.
func notToken68(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._~+/=", r)
}
