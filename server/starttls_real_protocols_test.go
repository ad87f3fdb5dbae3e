//go:build unix

package server_test

import (
	"regexp"

	"github.com/stretchr/testify/require"
)

// realProtocols are spoken as RFC 3207, 2033, 9051, 2595, 5804, 4217, 6120 and
// 4511 have it, and the manuals of PostgreSQL and MySQL.
var realProtocols = map[string]realProtocol{
	"smtp": {
		greeting: regexp.MustCompile(`^220 mail\.example ESMTP Exim\r\n$`),
		upgrade: func(c *talk) {
			c.hear("220 ")
			c.say("EHLO client.example\r\n")
			require.Contains(c.tb, c.hear("250 "), "STARTTLS")
			c.say("STARTTLS\r\n")
			c.hear("220 ")
		},
		use: func(c *talk) {
			c.say("EHLO client.example\r\n")
			require.NotContains(c.tb, c.hear("250 "), "STARTTLS")
			c.say("NOOP\r\n")
			c.hear("250 ")
			c.say("QUIT\r\n")
			c.hear("221 ")
		},
	},
	"lmtp": {
		greeting: regexp.MustCompile(`^220 .*Dovecot.*\r\n$`),
		upgrade: func(c *talk) {
			c.hear("220 ")
			c.say("LHLO client.example\r\n")
			require.Contains(c.tb, c.hear("250 "), "STARTTLS")
			c.say("STARTTLS\r\n")
			c.hear("220 ")
		},
		use: func(c *talk) {
			c.say("LHLO client.example\r\n")
			require.NotContains(c.tb, c.hear("250 "), "STARTTLS")
			c.say("QUIT\r\n")
			c.hear("221 ")
		},
	},
	"imap": {
		greeting: regexp.MustCompile(`^\* OK \[CAPABILITY .*STARTTLS.*\] Dovecot.*\r\n$`),
		upgrade: func(c *talk) {
			c.hear("* OK ")
			c.say("a STARTTLS\r\n")
			c.hear("a OK ")
		},
		use: func(c *talk) {
			c.say("a CAPABILITY\r\n")
			require.Contains(c.tb, c.hear("a OK "), "AUTH=PLAIN", "a password may be said now")
			c.say("b LOGIN somebody secret\r\n")
			c.hear("b OK ")
			c.say("c LOGOUT\r\n")
			require.Contains(c.tb, c.hear("c OK "), "* BYE")
		},
	},
	"pop3": {
		greeting: regexp.MustCompile(`^\+OK Dovecot.*\r\n$`),
		upgrade: func(c *talk) {
			c.hear("+OK ")
			c.say("STLS\r\n")
			c.hear("+OK ")
		},
		use: func(c *talk) {
			c.say("CAPA\r\n")
			require.Contains(c.tb, c.hear("."), "SASL PLAIN", "a password may be said now")
			c.say("QUIT\r\n")
			c.hear("+OK ")
		},
	},
	"sieve": {
		greeting: regexp.MustCompile(`^("[A-Z]+".*\r\n)+"STARTTLS"\r\n("[A-Z]+".*\r\n)*OK "Dovecot.*\r\n$`),
		upgrade: func(c *talk) {
			c.hear("OK ")
			c.say("STARTTLS\r\n")
			c.hear("OK ")
		},
		use: func(c *talk) {
			require.NotContains(c.tb, c.hear("OK "), "STARTTLS", "it begins anew")
			c.say("NOOP \"here\"\r\n")
			require.Contains(c.tb, c.hear("OK "), "here")
			c.say("LOGOUT\r\n")
			c.hear("OK ")
		},
	},
	"ftp": {
		greeting: regexp.MustCompile(`^220 \(vsFTPd .*\)\r\n$`),
		refusal:  "530 ",
		upgrade: func(c *talk) {
			c.hear("220 ")
			c.say("AUTH TLS\r\n")
			c.hear("234 ")
		},
		use: func(c *talk) {
			c.say("FEAT\r\n")
			require.Contains(c.tb, c.hear("211 "), "PROT")
			c.say("PBSZ 0\r\n")
			c.hear("200 ")
			c.say("QUIT\r\n")
			c.hear("221 ")
		},
		careless: true,
	},
	"xmpp": {
		greeting: regexp.MustCompile(`^<\?xml version='1\.0'\?><stream:stream .*<starttls .*</stream:features>$`),
		upgrade: func(c *talk) {
			c.say(xmppHeader)
			require.NotContains(c.tb, c.hearUpTo("</stream:features>"), "<mechanism>")
			c.say("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
			c.hearUpTo("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
		},
		use: func(c *talk) {
			c.say(xmppHeader)
			require.Contains(c.tb, c.hearUpTo("</stream:features>"), "<mechanism>")
			c.say("</stream:stream>")
			c.hearUpTo("</stream:stream>")
		},
	},
	"ldap": {
		greeting: regexp.MustCompile(`^$`),
		refusal:  "protocolError",
		upgrade:  startLDAP,
		use:      useLDAP,
	},
	"postgres": {
		greeting: regexp.MustCompile(`^$`),
		upgrade:  startPostgreSQL,
		use:      usePostgreSQL,
	},
	"mysql": {
		greeting: regexp.MustCompile(`(?s)^...\x00\x0a.*MariaDB.*$`),
		upgrade:  startMySQL,
		use:      useMySQL,
		careless: true,
	},
}

// xmppHeader names the host that the service has named: it must remain the same.
const xmppHeader = "<?xml version='1.0'?><stream:stream to='127.0.0.1' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
