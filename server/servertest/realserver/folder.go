//go:build unix

package realserver

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// folder is where a server lives, and whose it is.
type folder struct {
	account

	tb   testing.TB
	path string
}

// newFolder makes a folder with cert.pem and key.pem, for as long as the test
// lasts. It is not the test's own, which lies where nobody could not go.
func newFolder(tb testing.TB, c Config) *folder {
	tb.Helper()
	path, err := os.MkdirTemp("", "realserver") // short: the path of a Unix socket has at most 108 bytes
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = os.RemoveAll(path) })
	f := &folder{unprivileged(tb), tb, path}
	f.own(path)
	if c.hasTLS() {
		f.write("cert.pem", string(c.Certificate))
		f.write("key.pem", string(c.Key))
	}
	return f
}

// write makes a file that the server alone may read: PostgreSQL and vsftpd see
// to that.
func (f *folder) write(name, text string) (path string) {
	f.tb.Helper()
	path = filepath.Join(f.path, name)
	require.NoError(f.tb, os.WriteFile(path, []byte(text), 0o600))
	f.own(path)
	return path
}

// configure writes a file in which ${dir}, ${user} and ${group} are the
// folder's, and others are ports.
func (f *folder) configure(name, text string, ports map[string]*port) (path string) {
	f.tb.Helper()
	return f.write(name, os.Expand(text, func(variable string) string {
		switch variable {
		case "dir":
			return f.path
		case "user":
			return f.user
		case "group":
			return f.group
		}
		require.Contains(f.tb, ports, variable)
		return strconv.Itoa(ports[variable].number)
	}))
}

func (f *folder) own(path string) {
	f.tb.Helper()
	if f.credential != nil {
		require.NoError(f.tb, os.Chown(path, f.uid, f.gid))
	}
}
