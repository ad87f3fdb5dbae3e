package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/cmd/internal/daemonaddr"
)

// The flag comes before the environment, which comes before the daemon's own default. Not parallel: the environment
// is the process's.
func TestServiceAddress(t *testing.T) {
	t.Setenv(addressVariable, "")
	t.Setenv("XDG_RUNTIME_DIR", "/run/user/1")
	var f serviceFlags
	require.Equal(t, daemonaddr.Default(), f.address())
	require.Equal(t, "unix:///run/user/1/securesocket/s.sock", f.address())
	t.Setenv(addressVariable, "unix:///environment")
	require.Equal(t, "unix:///environment", f.address())
	f.server = "unix:///flag"
	require.Equal(t, "unix:///flag", f.address())

	address, _ := startService(t)
	t.Setenv(addressVariable, address)
	require.Equal(t, exitDone, runWith(t.Context(), nil, "sessions").code)
	r := runWith(t.Context(), nil, strings.Fields("sessions --embedded --server "+address)...)
	require.Equal(t, exitUsage, r.code)
	require.Equal(t, exitDone, runWith(t.Context(), nil, "sessions", "--embedded").code, "a flag is stronger than the environment")
}

// Without an allow list the embedded service refuses what is special or private, as the daemon does.
func TestEmbeddedPolicy(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"127.0.0.1", "[::1]", "169.254.169.254", "localhost", "192.168.1.1"} {
		r := runWith(t.Context(), nil, "status", host+":443", "--embedded")
		require.Equal(t, exitPolicy, r.code, r.stderr)
		require.Contains(t, r.stderr, "--egress-allow")
	}
	r := runWith(t.Context(), nil, "status", "192.0.2.1:443", "--embedded", "--egress-allow", "127.0.0.0/8")
	require.Equal(t, exitPolicy, r.code, r.stderr)
}

// Somebody else's folder may hold somebody else's service.
func TestDefaultSocketInAnOpenFolderIsRefused(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", dir)
	t.Setenv(addressVariable, "")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "securesocket"), 0o700))
	l, err := net.Listen("unix", filepath.Join(dir, "securesocket", "s.sock"))
	require.NoError(t, err)
	dialled := make(chan struct{}, 8)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			dialled <- struct{}{}
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close() })
	require.NoError(t, os.Chmod(filepath.Join(dir, "securesocket"), 0o755))
	got := runWith(t.Context(), strings.NewReader(""), "capabilities")
	require.NotZero(t, got.code)
	require.Contains(t, got.stderr, "not to be trusted")
	require.Empty(t, dialled)
}
