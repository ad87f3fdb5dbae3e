package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

func connection(tb testing.TB, d *daemon) *grpc.ClientConn {
	tb.Helper()
	cc, err := grpc.NewClient("unix:"+d.ready[0][len("unix://"):], grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = cc.Close() })
	return cc
}

// TestWhatTheOperatorHolds is named by callers and never shown.
func TestWhatTheOperatorHolds(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	dir := t.TempDir()
	cert, key := ca.Leaf().WriteFiles(dir)
	bundle := filepath.Join(dir, "bundle.pem")
	require.NoError(t, os.WriteFile(bundle, ca.PEM(), 0o600))

	cc := connection(t, start(t, 1, nil, "--identity", "mine="+cert+","+key, "--bundle", "corp="+bundle, "--forbid-override"))
	sessions, trust := pb.NewSecureSocketServiceClient(cc), pb.NewTrustServiceClient(cc)
	named := func(ref string) *pb.CreateSessionRequest {
		return &pb.CreateSessionRequest{Settings: &pb.SessionSettings{Tls: &pb.TlsSettings{
			Identities: []*pb.Identity{{Source: &pb.Identity_IdentityRef{IdentityRef: ref}}},
		}}}
	}
	created, err := sessions.CreateSession(t.Context(), named("mine"))
	require.NoError(t, err)
	public := created.GetSession().GetSettings().GetTls().GetIdentities()[0].GetPublic()
	require.Equal(t, "mine", public.GetIdentityRef())
	require.Empty(t, public.GetCertificateChain())
	_, err = sessions.CreateSession(t.Context(), named("another"))
	require.Equal(t, codes.InvalidArgument, status.Code(err))

	added, err := trust.AddCertificates(t.Context(), &pb.AddCertificatesRequest{
		Scope: pb.TrustScope_TRUST_SCOPE_SERVICE, BundleRef: "corp", Trusted: true,
	})
	require.NoError(t, err, "whoever runs the service administers it")
	require.EqualValues(t, 1, added.GetAddedCount())

	_, err = sessions.CreateSession(t.Context(), &pb.CreateSessionRequest{Settings: &pb.SessionSettings{
		Tls: &pb.TlsSettings{Override: pb.OverrideMode_OVERRIDE_MODE_ASK},
	}})
	require.Equal(t, codes.PermissionDenied, status.Code(err))
}

func TestNobodyIsAdministratorWhoIsNotNamed(t *testing.T) {
	t.Parallel()
	cc := connection(t, start(t, 1, nil, "--administrator", "uid:4294967294"))
	_, err := pb.NewTrustServiceClient(cc).ResetCertificates(t.Context(), &pb.ResetCertificatesRequest{
		Scope: pb.TrustScope_TRUST_SCOPE_SERVICE,
	})
	require.Equal(t, codes.PermissionDenied, status.Code(err))
}

func TestDataDirSurvivesTheService(t *testing.T) {
	t.Parallel()
	ca, dir := tlstest.NewCA(t), filepath.Join(t.TempDir(), "data")
	run := func() (*daemon, pb.TrustServiceClient) {
		d := start(t, 1, nil, "--data-dir", dir)
		return d, pb.NewTrustServiceClient(connection(t, d))
	}
	d, trust := run()
	_, err := trust.SetCertificates(t.Context(), &pb.SetCertificatesRequest{
		Scope: pb.TrustScope_TRUST_SCOPE_DEFAULTS, Bundle: ca.PEM(),
	})
	require.NoError(t, err)
	_, err = trust.UpdateDefaults(t.Context(), &pb.UpdateDefaultsRequest{Settings: &pb.SessionSettings{
		Tls: &pb.TlsSettings{MinVersion: pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_3},
	}})
	require.NoError(t, err)

	// A second service does not get in its way.
	out, err := exec.Command(binary, "--listen", "unix://"+filepath.Join(t.TempDir(), "s.sock"), "--data-dir", dir).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "--data-dir")
	require.NotContains(t, string(out), "--help", "it is no matter of usage")

	require.NoError(t, d.cmd.Process.Kill()) // without any goodbye
	require.Equal(t, -1, d.exit(t))
	_, trust = run()
	list, err := trust.ListCertificates(t.Context(), &pb.ListCertificatesRequest{Scope: pb.TrustScope_TRUST_SCOPE_DEFAULTS})
	require.NoError(t, err)
	require.Len(t, list.GetCertificates(), 1)
	require.Equal(t, ca.DER(), list.GetCertificates()[0].GetCertificate().GetDer())
	defaults, err := trust.GetDefaults(t.Context(), &pb.GetDefaultsRequest{})
	require.NoError(t, err)
	require.Equal(t, pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_3, defaults.GetSettings().GetTls().GetMinVersion())
}

func TestNonsenseOfTheOperatorIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage")
	require.NoError(t, os.WriteFile(garbage, []byte("not PEM"), 0o600))
	one, key := tlstest.NewCA(t).Leaf().WriteFiles(dir)
	_, other := tlstest.NewCA(t).Leaf().WriteFiles(t.TempDir())
	for _, args := range [][]string{
		{"--bundle", "x"},
		{"--bundle", "x=" + filepath.Join(dir, "missing")},
		{"--bundle", "x=" + garbage},
		{"--identity", "x=" + one},
		{"--identity", "x=" + one + "," + garbage},
		{"--identity", "x=" + one + "," + other},
		{"--identity", "x=" + one + "," + key, "--identity", "x=" + one + "," + key},
		{"--administrator", "root"},
		{"--administrator", "uid:-1"},
		{"--crl-max-age", "-1s"},
	} {
		cmd := exec.Command(binary, append(args, "--listen", "unix://"+filepath.Join(dir, "s.sock"))...)
		out, err := cmd.CombinedOutput()
		require.Error(t, err, args)
		require.Equal(t, 2, cmd.ProcessState.ExitCode(), "%v: %s", args, out)
		require.Contains(t, string(out), args[0])
	}
}

// TestAnIdentityThatIsNotThereSaysWhichFile: one name may stand for both.
func TestAnIdentityThatIsNotThereSaysWhichFile(t *testing.T) {
	t.Parallel()
	none := filepath.Join(t.TempDir(), "none")
	_, errs := command(t, exitUsage, nil, "config", "check", "--identity", "mine="+none+","+none)
	lines := strings.Split(strings.TrimSpace(errs), "\n")
	require.Len(t, lines, 2)
	require.Contains(t, lines[0], "certificate")
	require.Contains(t, lines[1], "key")
}
