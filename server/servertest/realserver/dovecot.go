//go:build unix

package realserver

import (
	"syscall"
	"testing"
)

// dovecotConfig has one user for everything, and no chroot, which only root can
// enter.
const dovecotConfig = `
base_dir = ${dir}/run
state_dir = ${dir}/state
log_path = /dev/stderr
default_internal_user = ${user}
default_internal_group = ${group}
default_login_user = ${user}
listen = 127.0.0.1
protocols = imap pop3 lmtp sieve
mail_location = maildir:${dir}/mail/%u
passdb {
  driver = static
  args = password=secret
}
userdb {
  driver = static
  args = uid=${user} gid=${group} home=${dir}/home
}
service anvil {
  chroot =
}
service stats {
  chroot =
}
service imap-login {
  chroot =
  inet_listener imap {
    port = ${imap}
  }
  inet_listener imaps {
    port = 0
  }
}
service pop3-login {
  chroot =
  inet_listener pop3 {
    port = ${pop3}
  }
  inet_listener pop3s {
    port = 0
  }
}
service managesieve-login {
  chroot =
  inet_listener sieve {
    port = ${sieve}
  }
}
service lmtp {
  inet_listener lmtp {
    port = ${lmtp}
  }
}
`

const dovecotTLS = `
ssl = yes
ssl_cert = <${dir}/cert.pem
ssl_key = <${dir}/key.pem
`

const dovecotWithoutTLS = `
ssl = no
`

// Addresses are those at which Dovecot listens.
type Addresses struct {
	IMAP, POP3, LMTP, Sieve string
}

// Dovecot speaks IMAP, POP3, LMTP and ManageSieve. Anybody may log in, with the
// password "secret".
func Dovecot(tb testing.TB, c Config) Addresses {
	tb.Helper()
	program := c.Find(tb, "dovecot", "/usr/sbin/dovecot")
	f := newFolder(tb, c)
	text := dovecotConfig + dovecotWithoutTLS
	if c.hasTLS() {
		text = dovecotConfig + dovecotTLS
	}
	imap, pop3, lmtp, sieve := newPort(tb), newPort(tb), newPort(tb), newPort(tb)
	config := f.configure("dovecot.conf", text, map[string]*port{"imap": imap, "pop3": pop3, "lmtp": lmtp, "sieve": sieve})
	f.start(syscall.SIGTERM, program, "-F", "-c", config).untilItListens(imap, pop3, lmtp, sieve)
	return Addresses{IMAP: imap.addr(), POP3: pop3.addr(), LMTP: lmtp.addr(), Sieve: sieve.addr()}
}
