package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// gate is a daemon at a grpcs:// address, and what its callers need.
type gate struct {
	*daemon

	tb        testing.TB
	ca        *tlstest.CA // of the daemon's certificate, and of good callers
	cert, key string
	clientCA  string
}

// gated runs a daemon that asks for client certificates. Its configuration has rest below it; listen is served beside
// grpcs://.
func gated(t *testing.T, rest string, listen ...string) *gate {
	t.Helper()
	return gatedBy(t, "", rest, listen...)
}

func gatedBy(t *testing.T, tlsSettings, rest string, listen ...string) *gate {
	t.Helper()
	dir := t.TempDir()
	g := &gate{tb: t, ca: tlstest.NewCA(t), clientCA: filepath.Join(dir, "clients.pem")}
	g.cert, g.key = g.ca.Leaf(tlstest.Names("127.0.0.1")).WriteFiles(dir)
	require.NoError(t, os.WriteFile(g.clientCA, g.ca.Root().PEM(), 0o600))
	listen = append([]string{"grpcs://127.0.0.1:0"}, listen...)
	g.daemon = start(t, len(listen), nil, "--config", configured(t, fmt.Sprintf(
		"listen: [%q]\ntls: {cert: %s, key: %s, client_ca: %s%s}\nlog: {level: debug}\n%s",
		strings.Join(listen, `", "`), g.cert, g.key, g.clientCA, tlsSettings, rest)))
	return g
}

// client is how a caller knows the daemon, and shows itself.
func (g *gate) client(shown ...*tlstest.Identity) *tls.Config {
	config := &tls.Config{RootCAs: g.ca.Pool()}
	for _, id := range shown {
		config.Certificates = append(config.Certificates, id.Certificate())
	}
	return config
}

// caller is a certificate that says who calls.
func (g *gate) caller(ca *tlstest.CA, name string, opts ...tlstest.Option) *tlstest.Identity {
	return ca.Leaf(append(opts, tlstest.Names(name), tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth))...)
}

// connect is grpc-go alone, without the SDK.
func (g *gate) connect(config *tls.Config) *grpc.ClientConn {
	g.tb.Helper()
	cc, err := grpc.NewClient(strings.TrimPrefix(g.ready[0], "grpcs://"), grpc.WithTransportCredentials(credentials.NewTLS(config)))
	require.NoError(g.tb, err)
	g.tb.Cleanup(func() { _ = cc.Close() })
	return cc
}

// who asks the daemon who it takes the caller for.
func who(tb testing.TB, cc *grpc.ClientConn, tokens ...string) (*pb.GetCapabilitiesResponse, error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	for _, token := range tokens {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	return pb.NewSecureSocketServiceClient(cc).GetCapabilities(ctx, &pb.GetCapabilitiesRequest{})
}

// is requires that a caller is taken for somebody.
func (g *gate) is(principal string, cc *grpc.ClientConn, tokens ...string) {
	g.tb.Helper()
	resp, err := who(g.tb, cc, tokens...)
	require.NoError(g.tb, err)
	require.Equal(g.tb, principal, resp.GetPrincipal())
}

// refuses requires an ErrorInfo, with why where it is not empty, and that no part of a token is told, in the status or in
// the log.
func (g *gate) refuses(code codes.Code, reason, why string, cc *grpc.ClientConn, tokens ...string) {
	g.tb.Helper()
	_, err := who(g.tb, cc, tokens...)
	require.Equal(g.tb, code, status.Code(err), "%v", err)
	var infos []*errdetails.ErrorInfo
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			infos = append(infos, info)
		}
	}
	require.Len(g.tb, infos, 1)
	require.Equal(g.tb, "securesocket.v1", infos[0].GetDomain())
	require.Equal(g.tb, reason, infos[0].GetReason())
	if why != "" {
		require.Equal(g.tb, why, infos[0].GetMetadata()["why"])
	}
	for _, token := range tokens {
		for _, part := range strings.Split(token, ".") {
			if len(part) > 8 {
				require.NotContains(g.tb, fmt.Sprint(status.Convert(err).Proto(), err), part)
				require.NotContains(g.tb, g.log(), part)
			}
		}
	}
}

// shut requires that the daemon ends the connection before any RPC.
func (g *gate) shut(cc *grpc.ClientConn) {
	g.tb.Helper()
	_, err := who(g.tb, cc)
	require.Equal(g.tb, codes.Unavailable, status.Code(err), "%v", err)
	require.Empty(g.tb, status.Convert(err).Details())
}

// replace puts a file there at once, as an operator's tool should.
func replace(tb testing.TB, path string, text []byte) {
	tb.Helper()
	require.NoError(tb, os.WriteFile(path+".new", text, 0o600))
	require.NoError(tb, os.Rename(path+".new", path))
}

// soon waits for what the daemon does by itself, and tells how long it took.
func soon(t *testing.T, what string, condition func() bool) {
	t.Helper()
	began := time.Now()
	require.Eventually(t, condition, patience, 20*time.Millisecond, what)
	t.Logf("%s after %v", what, time.Since(began).Round(time.Millisecond))
}
