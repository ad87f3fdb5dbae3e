package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/callers"
)

// tokensFile is a file of static tokens, by name.
func tokensFile(tokens map[string]string) (text []byte) {
	for name, token := range tokens {
		text = append(text, name+" "+callers.HashToken([]byte(token))+"\n"...)
	}
	return text
}

// A static token says who calls, until its line is gone: by itself soon after the file has changed, and at once on SIGHUP.
func TestStaticTokensOfCallers(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tokens")
	deploy, backup, admin := callers.NewToken(), callers.NewToken(), callers.NewToken()
	all := map[string]string{"deploy": deploy, "backup": backup, "admin": admin}
	require.NoError(t, os.WriteFile(file, tokensFile(all), 0o600))
	g := gated(t, "callers: {tokens: "+file+", administrators: [\"token:admin\"]}\n")
	cc := g.connect(g.client())
	for name, token := range all {
		resp, err := who(t, cc, token)
		require.NoError(t, err)
		require.Equal(t, "token:"+name, resp.GetPrincipal())
		require.Equal(t, name == "admin", resp.GetAdministrator())
	}
	unknown := func(token string) {
		g.refuses(codes.Unauthenticated, "UNAUTHENTICATED", string(callers.TokenUnknown), cc, token)
	}
	for _, token := range []string{callers.NewToken(), deploy + "A", deploy[:len(deploy)-1], strings.ToUpper(deploy), strings.TrimPrefix(callers.HashToken([]byte(deploy)), "sha256:"), "a.b.c"} {
		unknown(token)
	}
	g.refuses(codes.Unauthenticated, "UNAUTHENTICATED", string(callers.TokenHeaders), cc, deploy, deploy)
	g.refuses(codes.Unauthenticated, "UNAUTHENTICATED", "", cc)

	created, err := pb.NewSecureSocketServiceClient(cc).CreateSession(metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+deploy), &pb.CreateSessionRequest{})
	require.NoError(t, err)
	require.Equal(t, "token:deploy", created.GetSession().GetOwner())
	_, err = pb.NewSecureSocketServiceClient(cc).GetSession(metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+backup),
		&pb.GetSessionRequest{SessionId: created.GetSession().GetSessionId()})
	require.Equal(t, "SESSION_NOT_FOUND", reasonOf(t, err), "two callers of one connection are two")

	delete(all, "backup")
	replace(t, file, tokensFile(all))
	soon(t, "a token is revoked, unasked", func() bool { _, err := who(t, cc, backup); return err != nil })
	unknown(backup)
	g.is("token:deploy", cc, deploy)

	// Nobody calls meanwhile: it is the signal that has the file read.
	delete(all, "deploy")
	replace(t, file, tokensFile(all))
	require.NoError(t, g.cmd.Process.Signal(syscall.SIGHUP))
	soon(t, "a token is revoked, on SIGHUP", func() bool { return strings.Count(g.log(), "files for authentication were read again") == 2 })
	unknown(deploy)

	// What cannot be read changes nothing; an empty file revokes everything.
	replace(t, file, []byte("admin "+admin+"\n"))
	require.NoError(t, g.cmd.Process.Signal(syscall.SIGHUP))
	soon(t, "a bad file is in the log", func() bool { return strings.Contains(g.log(), "cannot all be loaded") })
	require.NotContains(t, g.log(), admin, "a token in the file by mistake")
	g.is("token:admin", cc, admin)
	replace(t, file, nil)
	require.NoError(t, g.cmd.Process.Signal(syscall.SIGHUP))
	soon(t, "all tokens are revoked", func() bool { _, err := who(t, cc, admin); return err != nil })
	unknown(admin)
}

// Over grpc://, which only --insecure serves, a token still says who calls, and one that is not accepted is not taken for
// nobody's.
func TestTokensInClear(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tokens")
	deploy := callers.NewToken()
	require.NoError(t, os.WriteFile(file, tokensFile(map[string]string{"deploy": deploy}), 0o600))
	d := start(t, 1, nil, "--insecure", "--listen", "grpc://127.0.0.1:0", "--callers-tokens", file)
	g := &gate{daemon: d, tb: t}
	cc := dial(t, d.ready[0])
	g.is("anonymous", cc)
	g.is("token:deploy", cc, deploy)
	g.refuses(codes.Unauthenticated, "UNAUTHENTICATED", string(callers.TokenUnknown), cc, callers.NewToken())
	require.Contains(t, fails(t, exitUsage, "--listen", "grpc://127.0.0.1:0", "--callers-tokens", file), "--insecure")

	// Where anonymous callers are not among those who may, they may not.
	g.daemon = start(t, 1, nil, "--insecure", "--listen", "grpc://127.0.0.1:0", "--callers-tokens", file, "--callers-allow", "token:deploy")
	cc = dial(t, g.ready[0])
	g.refuses(codes.PermissionDenied, "NOT_ALLOWED", "", cc)
	g.is("token:deploy", cc, deploy)
}

// A stream that is open does not outlive its caller's token, and disturbs no other caller's.
func TestStreamsEndWithTheirToken(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tokens")
	gone, stays := callers.NewToken(), callers.NewToken()
	require.NoError(t, os.WriteFile(file, tokensFile(map[string]string{"gone": gone, "stays": stays}), 0o600))
	g := gated(t, "callers: {tokens: "+file+"}\n")
	attach := func(token string) (pb.SecureSocketService_AttachClient, *pb.AttachResponse) {
		c := pb.NewSecureSocketServiceClient(g.connect(g.client()))
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token)
		created, err := c.CreateSession(ctx, &pb.CreateSessionRequest{})
		require.NoError(t, err)
		stream, err := c.Attach(ctx)
		require.NoError(t, err)
		require.NoError(t, stream.Send(&pb.AttachRequest{Frame: &pb.AttachRequest_Attach{Attach: &pb.AttachSession{SessionId: created.GetSession().GetSessionId(), AttachSeq: 1}}}))
		m, err := stream.Recv()
		require.NoError(t, err)
		return stream, m
	}
	one, m := attach(gone)
	require.NotNil(t, m.GetAttached())
	other, _ := attach(stays)
	replace(t, file, tokensFile(map[string]string{"stays": stays}))
	_, err := one.Recv() // it waits for the end
	require.Error(t, err)
	soon(t, "it is written down", func() bool { return strings.Contains(g.log(), "audit=revoked principal=token:gone") })
	require.NoError(t, other.CloseSend())
	_, err = other.Recv()
	require.ErrorIs(t, err, io.EOF)
}
