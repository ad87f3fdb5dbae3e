package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// fileLimit makes every write beyond n bytes of any file of a process fail. What the tests then see is what a full disk
// makes, without one.
func fileLimit(tb testing.TB, d *daemon, n uint64) {
	tb.Helper()
	pid := d.cmd.Process.Pid
	var before unix.Rlimit
	require.NoError(tb, unix.Prlimit(pid, unix.RLIMIT_FSIZE, nil, &before))
	require.NoError(tb, unix.Prlimit(pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: n, Max: before.Max}, nil))
}

// TestDataDirThatTakesNothingMore is told to callers as what the operator has to mend, and loses nothing.
func TestDataDirThatTakesNothingMore(t *testing.T) {
	t.Parallel()
	ca, dir := tlstest.NewCA(t), filepath.Join(t.TempDir(), "data")
	var trust pb.TrustServiceClient
	run := func() *daemon {
		d := start(t, 1, nil, "--data-dir", dir)
		trust = pb.NewTrustServiceClient(connection(t, d))
		return d
	}
	minVersion := func(v pb.ProtocolVersion) error {
		_, err := trust.UpdateDefaults(t.Context(), &pb.UpdateDefaultsRequest{Settings: &pb.SessionSettings{Tls: &pb.TlsSettings{MinVersion: v}}})
		return err
	}
	requireKept := func() {
		defaults, err := trust.GetDefaults(t.Context(), &pb.GetDefaultsRequest{})
		require.NoError(t, err)
		require.Equal(t, pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_3, defaults.GetSettings().GetTls().GetMinVersion())
		list, err := trust.ListCertificates(t.Context(), &pb.ListCertificatesRequest{Scope: pb.TrustScope_TRUST_SCOPE_DEFAULTS})
		require.NoError(t, err)
		for _, c := range list.GetCertificates() {
			require.NotEqual(t, pb.TrustScope_TRUST_SCOPE_DEFAULTS, c.GetScope(), "the system's alone")
		}
	}
	d := run()
	require.NoError(t, minVersion(pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_3))

	fileLimit(t, d, 1)
	for range 3 {
		_, err := trust.SetCertificates(t.Context(), &pb.SetCertificatesRequest{Scope: pb.TrustScope_TRUST_SCOPE_DEFAULTS, Bundle: ca.PEM()})
		requireNoDisk(t, err)
		requireNoDisk(t, minVersion(pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_2))
	}
	requireKept()
	_, err := d.client(t).CreateSession(t.Context(), &pb.CreateSessionRequest{})
	require.NoError(t, err, "sessions need no disk")
	waitLog(t, d, "what is to be kept cannot be written")
	waitLog(t, d, "RLIMIT_FSIZE")
	require.NotContains(t, d.log(), "internal error")

	require.NoError(t, d.cmd.Process.Kill())
	require.Equal(t, -1, d.exit(t))
	d = run()
	requireKept()
	fileLimit(t, d, 1)
	requireNoDisk(t, minVersion(pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_2))
	fileLimit(t, d, 1<<40)
	require.NoError(t, minVersion(pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_2), "as soon as there is room, the same daemon goes on")
}

// requireNoDisk wants LOCAL_RESOURCES about the disk, and a later time.
func requireNoDisk(tb testing.TB, err error) {
	tb.Helper()
	require.Equal(tb, "LOCAL_RESOURCES", reasonOf(tb, err))
	var what string
	var retry time.Duration
	for _, d := range status.Convert(err).Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			what = d.GetMetadata()["what"]
		case *errdetails.RetryInfo:
			retry = d.GetRetryDelay().AsDuration()
		}
	}
	require.Equal(tb, "disk", what)
	require.Positive(tb, retry)
}

func waitLog(tb testing.TB, d *daemon, text string) {
	tb.Helper()
	require.Eventually(tb, func() bool { return strings.Contains(d.log(), text) }, patience, time.Millisecond, text)
}

// A line of the file of tokens is there whole, or not at all.
func TestTokenThatFindsNoRoomLeavesTheFileAsItWas(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tokens")
	command(t, exitOK, nil, "token", "new", "first", "--file", file)
	before, err := os.ReadFile(file)
	require.NoError(t, err)
	prlimit, err := exec.LookPath("prlimit")
	if err != nil && os.Getenv("CI") == "" {
		t.Skip("no prlimit, of util-linux")
	}
	require.NoError(t, err)
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), prlimit, fmt.Sprintf("--fsize=%d", len(before)+10), binary, "token", "new", "second", "--file", file)
	cmd.Stdout, cmd.Stderr = &out, &errs
	require.Error(t, cmd.Run())
	require.Equal(t, exitError, cmd.ProcessState.ExitCode())
	require.Empty(t, out.String(), "no token that nobody knows")
	require.Contains(t, errs.String(), file)
	after, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))
}
