package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// TestTokenIsReadAgain: every call, unary or stream, has what is in the file then.
func TestTokenIsReadAgain(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	service := startGuarded(t, guardedTLS(ca, nil))
	file := putFile(t, []byte("first\n"))
	c, err := client.Dial("grpcs://localhost:"+service.port, client.WithCAFile(putFile(t, ca.PEM())), client.WithTokenFile(file))
	require.NoError(t, err)
	defer c.Close()
	for _, token := range []string{"first", "other", "e.y.J-._~+/=="} { // the first two are of one length
		require.NoError(t, os.WriteFile(file, []byte(" "+token+"\r\n"), 0o600))
		_, err = c.Capabilities(t.Context())
		require.NoError(t, err)
		conn, err := c.DialContext(t.Context(), "tcp", "example.com:443")
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		for _, call := range service.taken() {
			require.Equal(t, []string{"Bearer " + token}, call.authorization, call.method)
		}
	}
	require.NoError(t, os.Remove(file))
	_, err = c.Capabilities(t.Context())
	e := requireWay(t, err, "token")
	require.Equal(t, codes.Unauthenticated, e.Code)
	require.Equal(t, pb.ErrorReason_ERROR_REASON_UNAUTHENTICATED, e.Reason)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = c.DialContext(t.Context(), "tcp", "example.com:443")
	requireWay(t, err, "token")
	require.Empty(t, service.taken())
}

// TestTokenInClear goes over a Unix socket as it is, and over TCP where the caller says so.
func TestTokenInClear(t *testing.T) {
	t.Parallel()
	token := client.WithToken(func(context.Context) (string, error) { return "t0ken", nil })
	service := startGuarded(t, nil)
	toService := client.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", "127.0.0.1:"+service.port)
	})
	require.NoError(t, askService(t, "unix:///s", token, toService))
	require.Equal(t, []string{"Bearer t0ken"}, service.taken()[0].authorization)
	require.NoError(t, askService(t, "grpc://localhost:"+service.port, token, client.WithInsecureToken()))
	require.Equal(t, []string{"Bearer t0ken"}, service.taken()[0].authorization)
	var refused *client.CredentialsError
	require.ErrorAs(t, askService(t, "grpc://localhost:"+service.port, token), &refused)
	require.Empty(t, service.taken())
}

// TestTokenIsNeverTold: by no error, and by no way to print what holds it.
func TestTokenIsNeverTold(t *testing.T) {
	t.Parallel()
	const canary = "canary-0123456789"
	ca := tlstest.NewCA(t)
	service := startGuarded(t, guardedTLS(ca, nil))
	trust := client.WithCAFile(putFile(t, ca.PEM()))
	var said strings.Builder
	for _, token := range []string{canary + "\n", canary + "\x00", canary + " x", strings.Repeat(canary, 1000), "ü" + canary, ""} {
		err := askService(t, "grpcs://localhost:"+service.port, trust, client.WithToken(func(context.Context) (string, error) { return token, nil }))
		requireWay(t, err, "token")
		fmt.Fprintf(&said, "%v %+v %#v", err, err, err)
		c, err := client.Dial("grpcs://localhost:"+service.port, trust, client.WithTokenFile(putFile(t, []byte(canary))))
		require.NoError(t, err)
		_, err = c.Capabilities(t.Context())
		require.NoError(t, err)
		fmt.Fprintf(&said, "%v %+v %#v", c, c, c)
		require.NoError(t, c.Close())
		_, err = client.Dial("unix:///s", client.WithTokenFile(putFile(t, []byte(canary+" "+token+"\x01"))))
		require.Error(t, err)
		fmt.Fprintf(&said, "%v %+v %#v", err, err, err)
	}
	require.NotContains(t, said.String(), canary)
}

// TestTokenFunctionFails: its error is told and found, and the call's context goes before it.
func TestTokenFunctionFails(t *testing.T) {
	t.Parallel()
	service := startGuarded(t, nil)
	address := "grpc://localhost:" + service.port
	broken := errors.New("the issuer is away")
	err := askService(t, address, client.WithInsecureToken(), client.WithToken(func(context.Context) (string, error) { return "", broken }))
	requireWay(t, err, "token")
	require.ErrorIs(t, err, broken)

	ctx, cancel := context.WithCancel(t.Context())
	c, err := client.Dial(address, client.WithInsecureToken(), client.WithToken(func(ctx context.Context) (string, error) {
		cancel()
		<-ctx.Done()
		return "", broken
	}))
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Capabilities(ctx)
	require.ErrorIs(t, err, net.ErrClosed)
	require.Empty(t, service.taken())
}
