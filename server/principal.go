package server

import (
	"context"
	"errors"
	"net"
	"strconv"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/auth"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// Anonymous is the principal of every caller that comes over an insecure
// listener.
const Anonymous = "anonymous"

// Authenticator says who the caller of an RPC is. Its error becomes
// UNAUTHENTICATED; the text is not shown.
type Authenticator func(ctx context.Context) (principal string, err error)

type principalKey struct{}

// principalOf returns the principal that the interceptor found.
func principalOf(ctx context.Context) string {
	p, _ := ctx.Value(principalKey{}).(string)
	return p
}

func authFunc(authenticate Authenticator) auth.AuthFunc {
	return func(ctx context.Context) (context.Context, error) {
		p, err := authenticate(ctx)
		if err != nil || p == "" {
			return nil, toStatus(&unauthenticatedError{err})
		}
		return context.WithValue(ctx, principalKey{}, p), nil
	}
}

type unauthenticatedError struct{ err error }

func (e *unauthenticatedError) Error() string { return "the service cannot tell who the caller is" }

// ByConnection is the Authenticator of the daemon: the user ID of the process
// at the other end of a Unix socket, or Anonymous over TCP, which is only
// served where the operator said so.
func ByConnection(ctx context.Context) (string, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return "", errors.New("no peer")
	}
	switch info := p.AuthInfo.(type) {
	case peerUser:
		return "uid:" + strconv.FormatUint(uint64(info.uid), 10), nil
	case anonymousPeer:
		return Anonymous, nil
	}
	return "", errors.New("no credentials")
}

// peerUser is the caller behind a Unix socket.
type peerUser struct {
	credentials.CommonAuthInfo
	uid uint32
}

func (peerUser) AuthType() string { return "unix-peer" }

// anonymousPeer is a caller of whom nothing is known.
type anonymousPeer struct{ credentials.CommonAuthInfo }

func (anonymousPeer) AuthType() string { return "insecure" }

// connectionCredentials reads who is at the other end of a connection when it
// is accepted. It encrypts nothing.
type connectionCredentials struct{}

func (connectionCredentials) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if uc, ok := conn.(*net.UnixConn); ok {
		uid, err := peerUID(uc)
		if err != nil {
			return nil, nil, err
		}
		return conn, peerUser{credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}, uid}, nil
	}
	return conn, anonymousPeer{credentials.CommonAuthInfo{SecurityLevel: credentials.NoSecurity}}, nil
}

func (connectionCredentials) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("server credentials")
}

func (connectionCredentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "unix-peer"}
}

func (c connectionCredentials) Clone() credentials.TransportCredentials { return c }

func (connectionCredentials) OverrideServerName(string) error { return nil }
