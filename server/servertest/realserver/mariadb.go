//go:build unix

package realserver

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// MariaDB speaks MySQL's protocol. It has no tables, not even its own, and lets in
// whoever comes.
func MariaDB(tb testing.TB, c Config) (addr string) {
	tb.Helper()
	program := c.Find(tb, "mariadbd", "/usr/sbin/mariadbd")
	f, p := newFolder(tb, c), newPort(tb)
	args := []string{
		"--no-defaults", "--datadir=" + f.path, "--tmpdir=" + f.path, "--socket=" + filepath.Join(f.path, "socket"),
		"--pid-file=" + filepath.Join(f.path, "pid"), "--bind-address=127.0.0.1", "--port=" + p.String(), "--skip-networking=0",
		"--skip-grant-tables", "--innodb=OFF", "--default-storage-engine=MyISAM",
	}
	if c.hasTLS() {
		args = append(args, "--ssl-cert="+filepath.Join(f.path, "cert.pem"), "--ssl-key="+filepath.Join(f.path, "key.pem"))
	} else {
		args = append(args, "--skip-ssl") // later versions make a certificate where there is none
	}
	server := f.start(syscall.SIGTERM, program, args...)
	server.until(func() bool { return strings.Contains(server.printed(), "ready for connections") })
	return p.addr()
}
