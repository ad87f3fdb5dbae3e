//go:build unix

package realserver

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// PostgreSQL has the database "postgres", and a superuser of that name who needs
// no password.
func PostgreSQL(tb testing.TB, c Config) (addr string) {
	tb.Helper()
	// Debian keeps each version apart, and none in PATH.
	versions, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	require.NoError(tb, err)
	slices.Reverse(versions)
	program, err := filepath.EvalSymlinks(c.Find(tb, append([]string{"postgres"}, versions...)...))
	require.NoError(tb, err)
	f, p := newFolder(tb, c), newPort(tb)
	data := filepath.Join(f.path, "data")

	create := exec.Command(filepath.Join(filepath.Dir(program), "initdb"), "-D", data, "-U", "postgres", "-A", "trust",
		"-E", "UTF8", "--no-locale", "--no-sync")
	create.Dir, create.SysProcAttr = f.path, &syscall.SysProcAttr{Credential: f.credential}
	out, err := create.CombinedOutput()
	require.NoError(tb, err, "initdb: %s", out)

	args := []string{"-D", data, "-h", "127.0.0.1", "-p", p.String(), "-k", "", "-F"}
	if c.hasTLS() {
		args = append(args, "-c", "ssl=on", "-c", "ssl_cert_file=../cert.pem", "-c", "ssl_key_file=../key.pem")
	}
	// A fast shutdown gives its shared memory back, but waits for a client that has not said yet who it is.
	server := f.start(syscall.SIGINT, program, args...)
	// It listens before it is ready, and refuses who comes in between.
	server.until(func() bool { return strings.Contains(server.printed(), "ready to accept connections") })
	return p.addr()
}
