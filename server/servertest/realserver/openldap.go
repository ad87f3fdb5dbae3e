//go:build unix

package realserver

import (
	"syscall"
	"testing"
)

// openLDAPConfig has no database: what a server says of itself is enough.
const openLDAPConfig = `
pidfile ${dir}/pid
argsfile ${dir}/args
`

const openLDAPTLS = `
TLSCertificateFile ${dir}/cert.pem
TLSCertificateKeyFile ${dir}/key.pem
TLSVerifyClient never
`

// OpenLDAP speaks LDAP. Anybody may read its root DSE.
func OpenLDAP(tb testing.TB, c Config) (addr string) {
	tb.Helper()
	program := c.Find(tb, "slapd", "/usr/sbin/slapd")
	f, p := newFolder(tb, c), newPort(tb)
	text := openLDAPConfig
	if c.hasTLS() {
		text += openLDAPTLS
	}
	config := f.configure("slapd.conf", text, nil)
	f.start(syscall.SIGTERM, program, "-d", "0", "-h", "ldap://"+p.addr(), "-f", config).untilItListens(p)
	return p.addr()
}
