package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"securesocket/server/callers"
)

// Over a Unix socket the kernel says who calls, and the operator who of them may.
func TestUsersOfASocket(t *testing.T) {
	t.Parallel()
	me := "uid:" + itoa(os.Geteuid())
	file := filepath.Join(t.TempDir(), "tokens")
	token := callers.NewToken()
	require.NoError(t, os.WriteFile(file, tokensFile(map[string]string{"deploy": token}), 0o600))
	for name, tc := range map[string]struct {
		args          []string
		may           bool
		administrator bool
	}{
		"by default":           {nil, true, true},
		"named":                {[]string{"--callers-allow", me}, true, true},
		"all users":            {[]string{"--callers-allow", "uid:*"}, true, true},
		"another":              {[]string{"--callers-allow", "uid:4294967294"}, false, false},
		"another kind":         {[]string{"--callers-allow", "token:*"}, false, false},
		"administrator, named": {[]string{"--administrator", me}, true, true},
		"administrators, all":  {[]string{"--administrator", "uid:*"}, true, true},
		"another administers":  {[]string{"--administrator", "uid:4294967294"}, true, false},
		"may not, administers": {[]string{"--callers-allow", "token:*", "--administrator", me}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := &gate{tb: t, daemon: start(t, 1, nil, append([]string{"--callers-tokens", file}, tc.args...)...)}
			cc := connection(t, g.daemon)
			if !tc.may {
				g.refuses(codes.PermissionDenied, "NOT_ALLOWED", "", cc)
				g.open(cc)
				return
			}
			resp, err := who(t, cc)
			require.NoError(t, err)
			require.Equal(t, me, resp.GetPrincipal())
			require.Equal(t, tc.administrator, resp.GetAdministrator())
			g.refuses(codes.Unauthenticated, "UNAUTHENTICATED", string(callers.TokenUnknown), cc, callers.NewToken())
			if tc.args == nil {
				resp, err = who(t, cc, token)
				require.NoError(t, err, "a socket is as good as TLS")
				require.Equal(t, "token:deploy", resp.GetPrincipal())
				require.False(t, resp.GetAdministrator(), "by who he says he is, not by whose process it is")
			}
		})
	}
	g := &gate{tb: t, daemon: start(t, 1, nil, "--config", configured(t, "callers: {allow: []}\n"))}
	g.refuses(codes.PermissionDenied, "NOT_ALLOWED", "", connection(t, g.daemon))
}

// open requires that health is told to anybody.
func (g *gate) open(cc *grpc.ClientConn) {
	g.tb.Helper()
	resp, err := healthpb.NewHealthClient(cc).Check(g.tb.Context(), &healthpb.HealthCheckRequest{})
	require.NoError(g.tb, err)
	require.Equal(g.tb, healthpb.HealthCheckResponse_SERVING, resp.GetStatus())
}
