package server

import (
	"context"

	"securesocket/server/callers"
)

// Anonymous is the principal of every caller that comes over an insecure
// listener and brings no token.
const Anonymous = callers.Anonymous

// Authenticator says who the caller of an RPC is. Its error becomes
// UNAUTHENTICATED, and its text is shown where it is one of package callers,
// which holds nothing that anybody chose.
type Authenticator func(ctx context.Context) (principal string, err error)

type unauthenticatedError struct{ err error }

func (e *unauthenticatedError) Error() string {
	if why := e.why(); why != "" {
		return "the service cannot tell who the caller is: " + why
	}
	return "the service cannot tell who the caller is"
}

func (e *unauthenticatedError) why() string {
	switch err := e.err.(type) { //nolint:errorlint // as package callers made it
	case *callers.TokenError:
		return string(err.Why)
	case *callers.CertificateError:
		return string(err.Why)
	case *callers.IssuerError:
		return err.Error()
	}
	return ""
}
