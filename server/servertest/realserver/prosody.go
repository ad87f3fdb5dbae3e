//go:build unix

package realserver

import (
	"syscall"
	"testing"
)

const prosodyConfig = `
pidfile = "${dir}/pid"
data_path = "${dir}/data"
certificates = "${dir}"
log = { info = "*console" }
interfaces = { "127.0.0.1" }
c2s_ports = { ${c2s} }
s2s_ports = {}
http_ports = {}
https_ports = {}
modules_disabled = { "s2s" }
authentication = "internal_hashed"
`

const prosodyTLS = `
modules_enabled = { "tls", "saslauth" }
c2s_require_encryption = true
ssl = { certificate = "${dir}/cert.pem", key = "${dir}/key.pem" }
`

const prosodyWithoutTLS = `
modules_enabled = { "saslauth" }
c2s_require_encryption = false
`

// A client may ask for the domain by any of these.
const prosodyHosts = `
VirtualHost "localhost"
VirtualHost "127.0.0.1"
`

// Prosody speaks XMPP, for clients of localhost and 127.0.0.1.
func Prosody(tb testing.TB, c Config) (addr string) {
	tb.Helper()
	program := c.Find(tb, "prosody", "/usr/bin/prosody")
	f, p := newFolder(tb, c), newPort(tb)
	text := prosodyConfig + prosodyWithoutTLS + prosodyHosts
	if c.hasTLS() {
		text = prosodyConfig + prosodyTLS + prosodyHosts
	}
	config := f.configure("prosody.cfg.lua", text, map[string]*port{"c2s": p})
	f.start(syscall.SIGTERM, program, "-F", "--config", config).untilItListens(p)
	return p.addr()
}
