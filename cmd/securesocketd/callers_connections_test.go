package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/callers"
	"securesocket/tlsengine/tlstest"
)

// A caller has so many connections to the daemon, and no other caller has fewer for it.
func TestConnectionsOfACaller(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tokens")
	many, few := callers.NewToken(), callers.NewToken()
	require.NoError(t, os.WriteFile(file, tokensFile(map[string]string{"many": many, "few": few}), 0o600))
	g := gated(t, "callers: {tokens: "+file+"}\nlimits: {connections_per_caller: 2}\n")
	var open []*grpc.ClientConn
	for range 2 {
		cc := g.connect(g.client())
		g.is("token:many", cc, many)
		open = append(open, cc)
	}
	_, err := who(t, g.connect(g.client()), many)
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.Equal(t, "LIMIT", reasonOf(t, err))
	g.is("token:few", g.connect(g.client()), few)
	require.NoError(t, open[0].Close())
	soon(t, "a place is free again", func() bool { _, err := who(t, g.connect(g.client()), many); return err == nil })
}

// What an administrator does to the service's trust is written down, once it is done.
func TestTrustIsAudited(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tokens")
	admin := callers.NewToken()
	require.NoError(t, os.WriteFile(file, tokensFile(map[string]string{"admin": admin}), 0o600))
	g := gated(t, "callers: {tokens: "+file+", administrators: [\"token:admin\"]}\n")
	tc := pb.NewTrustServiceClient(g.connect(g.client()))
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+admin)
	_, err := tc.AddCertificates(ctx, &pb.AddCertificatesRequest{Scope: pb.TrustScope_TRUST_SCOPE_SERVICE, Bundle: []byte("nonsense"), Trusted: true})
	require.Error(t, err)
	require.NotContains(t, g.log(), "change the service's certificates")
	_, err = tc.AddCertificates(ctx, &pb.AddCertificatesRequest{Scope: pb.TrustScope_TRUST_SCOPE_SERVICE, Bundle: tlstest.NewCA(t).DER(), Trusted: true})
	require.NoError(t, err)
	soon(t, "it is written down", func() bool {
		return strings.Contains(g.log(), `audit="change the service's certificates" principal=token:admin`)
	})
}
