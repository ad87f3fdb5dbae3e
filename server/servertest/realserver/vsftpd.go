//go:build unix

package realserver

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

const vsftpdConfig = `
listen=YES
background=NO
listen_address=127.0.0.1
listen_port=${ftp}
run_as_launching_user=YES
anonymous_enable=YES
local_enable=NO
anon_root=${dir}/files
secure_chroot_dir=${dir}/files
seccomp_sandbox=NO
isolate=NO
isolate_network=NO
`

const vsftpdTLS = `
ssl_enable=YES
allow_anon_ssl=YES
rsa_cert_file=${dir}/cert.pem
rsa_private_key_file=${dir}/key.pem
`

// VSFTPD speaks FTP.
func VSFTPD(tb testing.TB, c Config) (addr string) {
	tb.Helper()
	program := c.Find(tb, "vsftpd", "/usr/sbin/vsftpd")
	f, p := newFolder(tb, c), newPort(tb)
	files := filepath.Join(f.path, "files")
	require.NoError(tb, os.Mkdir(files, 0o500))
	f.own(files)
	text := vsftpdConfig
	if c.hasTLS() {
		text += vsftpdTLS
	}
	config := f.configure("vsftpd.conf", text, map[string]*port{"ftp": p})
	f.start(syscall.SIGTERM, program, config).untilItListens(p)
	return p.addr()
}
