package starttls_test

import (
	"fmt"
	"strings"
	"testing"

	"securesocket/session/starttls"

	"github.com/stretchr/testify/require"
)

func TestRefused(t *testing.T) {
	t.Parallel()
	dialogues := map[string]dialogue{}
	for _, d := range good {
		if _, ok := dialogues[d.protocol]; !ok {
			dialogues[d.protocol] = d
		}
	}
	postgresError := "E\x00\x00\x00\x35SFATAL\x00VFATAL\x00C53300\x00Msorry, too many clients \x01\x00\x00"
	long := strings.Repeat("é", 200)
	for _, tc := range []struct {
		protocol string
		turn     int
		says     string
		reply    string // empty: not offered
	}{
		{"smtp", 0, "554 5.7.1 go\taway\x1b[2J\r\n", `554 5.7.1 go\taway\x1b[2J`},
		{"smtp", 0, "421-too\r\n421 busy\r\n", "421 too busy"},
		{"smtp", 0, "554 " + long + "\r\n", "554 " + long[:248] + "..."},
		{"smtp", 0, "554 \xff\xfe\u202e\r\n", `554 \xff\xfe\u202e`},
		{"smtp", 1, "502 what\r\n", "502 what"},
		{"smtp", 1, "250-STARTTLS\r\n250 PIPELINING\r\n", ""}, // a peer of that name
		{"smtp", 1, "250-x\r\n250 XSTARTTLS\r\n", ""},
		{"smtp", 2, "454 TLS not available\r\n", "454 TLS not available"},
		{"smtp", 2, "250 ok\r\n", "250 ok"},
		{"lmtp", 0, "554 no\r\n", "554 no"},
		{"lmtp", 1, "250 x\r\n", ""},
		{"lmtp", 2, "501 no\r\n", "501 no"},
		{"imap", 0, "* PREAUTH welcome\r\n", "PREAUTH welcome"},
		{"imap", 0, "* bye busy\r\n", "bye busy"},
		{"imap", 1, "* CAPABILITY IMAP4rev1 XSTARTTLS\r\na1 OK\r\n", ""},
		{"imap", 1, "a1 OK [CAPABILITY STARTTLS] done\r\n", ""}, // not what was asked for
		{"imap", 1, "a1 BAD what\r\n", "BAD what"},
		{"imap", 1, "* BYE idle\r\na1 OK\r\n", "BYE idle"},
		{"imap", 2, "a2 NO not now\r\n", "NO not now"},
		{"imap", 2, "a2 BAD what\r\n", "BAD what"},
		{"imap", 2, "* BYE\r\n", "BYE"},
		{"pop3", 0, "-ERR busy\r\n", "-ERR busy"},
		{"pop3", 1, "+OK\r\nTOP\r\n.\r\n", ""},
		{"pop3", 2, "-ERR no\r\n", "-ERR no"},
		{"ftp", 0, "421 closing\r\n", "421 closing"},
		{"ftp", 0, "120 soon\r\n120 soon\r\n", "120 soon"},
		{"ftp", 1, "534-no\r\n really\r\n534 no\r\n", "534 no really no"},
		{"ftp", 1, "334 more\r\n", "334 more"},
		{"ldap", 0, "\x30\x0f\x02\x01\x01\x78\x0a\x0a\x01\x02\x04\x00\x04\x03no!", "protocolError: no!"},
		{"ldap", 0, "\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x34\x04\x00\x04\x00", "unavailable"},
		{"ldap", 0, "\x30\x0d\x02\x01\x01\x78\x08\x0a\x02\x10\x00\x04\x00\x04\x00", "result 4096"},
		{"ldap", 0, "\x30\x24\x02\x01\x00\x78\x1f\x0a\x01\x34\x04\x00\x04\x00\x8a\x161.3.6.1.4.1.1466.20036", "unavailable"},
		{"xmpp", 0, xmppHeader + "<stream:features/>", ""},
		{"xmpp", 0, xmppHeader + "<stream:features><starttls xmlns='x'/><a><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></a></stream:features>", ""},
		{"xmpp", 0, "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>", ""},
		{"xmpp", 0, xmppHeader + "<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><text>not\n here</text></stream:error>",
			"stream error host-unknown text not here"},
		{"xmpp", 1, "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "failure"},
		{"xmpp", 1, "<stream:error><reset/></stream:error>", "stream error reset"},
		{"postgres", 0, "N", ""},
		{"postgres", 0, strings.Replace(postgresError, "\x35", string(rune(len(postgresError)-1)), 1), `FATAL sorry, too many clients \x01`},
		{"postgres", 0, "Ecould not fork\n new process\n\x00", "could not fork new process"},
		{"mysql", 0, mysqlGreeting(0xf7ff), ""},
		{"mysql", 0, "\x0a\x00\x00\x00\xff\x69\x04blocked", "1129 blocked"},
		{"mysql", 0, "\x0f\x00\x00\x01\xff\x10\x04#08004enough", "1040 enough"},
		{"nntp", 0, "400 later\r\n", "400 later"},
		{"nntp", 0, "502 never\r\n", "502 never"},
		{"nntp", 1, "400 closing\r\n", "400 closing"},
		{"nntp", 1, "101 list\r\nREADER\r\n.\r\n", ""},
		{"nntp", 2, "580 cannot\r\n", "580 cannot"},
		{"nntp", 2, "200 ok\r\n", "200 ok"},
		{"sieve", 0, "BYE \"busy\"\r\n", `BYE "busy"`},
		{"sieve", 0, "\"STARTTLS\"\r\nNO(X) \"no\"\r\n", `NO(X) "no"`},
		{"sieve", 0, "\"SASL\" \"STARTTLS\"\r\nOK\r\n", ""},
		{"sieve", 1, "NO {11+}\r\nnot\r\nto day\r\n", "NO not to day"},
	} {
		t.Run(fmt.Sprintf("%s %q", tc.protocol, tc.says), func(t *testing.T) {
			t.Parallel()
			d := dialogues[tc.protocol]
			p := newPair(t)
			greeting, err := p.open(t.Context(), d.protocol, d.host, d.with(tc.turn, tc.says), atOnce)
			var refused *starttls.RefusedError
			require.ErrorAs(t, err, &refused)
			require.Equal(t, starttls.RefusedError{Protocol: tc.protocol, Reply: tc.reply}, *refused)
			require.Nil(t, greeting)
			require.LessOrEqual(t, len(refused.Reply), 256)
		})
	}
}
