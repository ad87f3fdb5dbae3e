package starttls_test

import (
	"strings"
	"testing"

	"securesocket/session/starttls"

	"github.com/stretchr/testify/require"
)

// turn is what the client has to say, to the byte, and what the peer says then.
type turn struct{ client, peer string }

// dialogue is one that ends with the peer's agreement, of a client at 127.0.0.1 that asks for host.
type dialogue struct {
	protocol, host string
	turns          []turn
	greeting       string // what Open returns
}

// with returns the dialogue's turns up to and with turn i, whose peer says something else.
func (d dialogue) with(i int, says string) []turn {
	turns := append([]turn(nil), d.turns[:i+1]...)
	turns[i].peer = says
	return turns
}

// last is the turn of the peer's last reply.
func (d dialogue) last() int {
	i := len(d.turns) - 1
	for d.turns[i].peer == "" {
		i--
	}
	return i
}

// said is all that the peer says.
func (d dialogue) said() string {
	var b strings.Builder
	for _, turn := range d.turns {
		b.WriteString(turn.peer)
	}
	return b.String()
}

const (
	xmppHello    = "<?xml version='1.0'?><stream:stream to='example.com' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
	xmppHeader   = "<?xml version='1.0'?><stream:stream from='example.com' id='1' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
	xmppFeatures = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>" +
		"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>"
	xmppStart   = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
	xmppProceed = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"

	ldapRequest  = "\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"
	ldapResponse = "\x30\x24\x02\x01\x01\x78\x1f\x0a\x01\x00\x04\x00\x04\x00\x8a\x161.3.6.1.4.1.1466.20037"

	postgresRequest = "\x00\x00\x00\x08\x04\xd2\x16\x2f"

	mysqlRequest = "\x20\x00\x00\x01\x00\x8a\x00\x00\x00\x00\x00\x01\x2d" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
)

// mysqlGreeting is a first packet with the lower half of the capabilities.
func mysqlGreeting(capabilities uint16) string {
	payload := "\x0a8.4.0\x00\x07\x00\x00\x00abcdefgh\x00" + string([]byte{byte(capabilities), byte(capabilities >> 8)}) +
		"\xff\x02\x00\xff\xdf\x15\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00ijklmnopqrst\x00caching_sha2_password\x00"
	return string([]byte{byte(len(payload)), 0, 0, 0}) + payload
}

// good has one dialogue of every protocol first, then others that are good as well.
var good = []dialogue{
	{protocol: "smtp", turns: []turn{
		{"", "220-mail.example.com ESMTP\r\n220 no spam\r\n"},
		{"EHLO [127.0.0.1]\r\n", "250-mail.example.com\r\n250-PIPELINING\r\n250-starttls\r\n250 8BITMIME\r\n"},
		{"STARTTLS\r\n", "220 2.0.0 Go ahead\r\n"},
	}, greeting: "220-mail.example.com ESMTP\r\n220 no spam\r\n"},
	{protocol: "lmtp", turns: []turn{
		{"", "220 LMTP\r\n"},
		{"LHLO [127.0.0.1]\r\n", "250-mail\r\n250 STARTTLS\r\n"},
		{"STARTTLS\r\n", "220 ready\r\n"},
	}, greeting: "220 LMTP\r\n"},
	{protocol: "imap", turns: []turn{
		{"", "* OK [CAPABILITY IMAP4rev1] hello\r\n"},
		{"a1 CAPABILITY\r\n", "* CAPABILITY IMAP4rev2 LOGINDISABLED StartTLS\r\n* OK still here\r\na1 OK done\r\n"},
		{"a2 STARTTLS\r\n", "* 1 EXISTS\r\na2 OK begin\r\n"},
	}, greeting: "* OK [CAPABILITY IMAP4rev1] hello\r\n"},
	{protocol: "pop3", turns: []turn{
		{"", "+OK POP3 <1@example.com>\r\n"},
		{"CAPA\r\n", "+OK list\r\nTOP\r\nSTLS\r\n.\r\n"},
		{"STLS\r\n", "+OK begin\r\n"},
	}, greeting: "+OK POP3 <1@example.com>\r\n"},
	{protocol: "ftp", turns: []turn{
		{"", "120 in a minute\r\n220-Welcome\r\n  230 is not the end\r\n220-nor this\r\n220 ready\r\n"},
		{"AUTH TLS\r\n", "234 AUTH TLS ok\r\n"},
	}, greeting: "120 in a minute\r\n220-Welcome\r\n  230 is not the end\r\n220-nor this\r\n220 ready\r\n"},
	{protocol: "ldap", turns: []turn{{ldapRequest, ldapResponse}}},
	{protocol: "xmpp", host: "example.com", turns: []turn{
		{xmppHello, xmppHeader + xmppFeatures}, {xmppStart, xmppProceed},
	}, greeting: xmppHeader + xmppFeatures},
	{protocol: "postgres", turns: []turn{{postgresRequest, "S"}}},
	{protocol: "mysql", turns: []turn{{"", mysqlGreeting(0xffff)}, {mysqlRequest, ""}}, greeting: mysqlGreeting(0xffff)},
	{protocol: "nntp", turns: []turn{
		{"", "201 no posting\r\n"},
		{"CAPABILITIES\r\n", "101 list\r\nVERSION 2\r\nSTARTTLS\r\n.\r\n"},
		{"STARTTLS\r\n", "382 continue\r\n"},
	}, greeting: "201 no posting\r\n"},
	{protocol: "sieve", turns: []turn{
		{"", "\"IMPLEMENTATION\" \"a {1}\"\r\n\"StartTLS\"\r\n\"SASL\" \"\"\r\nOK (TAG) \"hello\"\r\n"},
		{"STARTTLS\r\n", "OK \"begin\"\r\n"},
	}, greeting: "\"IMPLEMENTATION\" \"a {1}\"\r\n\"StartTLS\"\r\n\"SASL\" \"\"\r\nOK (TAG) \"hello\"\r\n"},

	{protocol: "smtp", turns: []turn{ // codes alone, and a last reply of several lines
		{"", "220\r\n"}, {"EHLO [127.0.0.1]\r\n", "250-x\r\n250 STARTTLS\r\n"}, {"STARTTLS\r\n", "220-a\r\n220\r\n"},
	}, greeting: "220\r\n"},
	{protocol: "pop3", turns: []turn{ // no CAPA
		{"", "+OK\r\n"}, {"CAPA\r\n", "-ERR what\r\n"}, {"STLS\r\n", "+OK\r\n"},
	}, greeting: "+OK\r\n"},
	{protocol: "nntp", turns: []turn{ // no CAPABILITIES
		{"", "200 hello\r\n"}, {"CAPABILITIES\r\n", "500 what\r\n"}, {"STARTTLS\r\n", "382 go\r\n"},
	}, greeting: "200 hello\r\n"},
	{protocol: "ldap", turns: []turn{ // lengths as Active Directory writes them, a referral and controls, which mean nothing here
		{ldapRequest, "\x30\x84\x00\x00\x00\x18\x02\x01\x01\x78\x84\x00\x00\x00\x0b\x0a\x01\x00\x04\x00\x04\x00\xa3\x02\x04\x00\xa0\x02\x30\x00"},
	}},
	{protocol: "xmpp", host: "2001:db8::1%eth0", turns: []turn{ // white space, pairs of tags
		{strings.Replace(xmppHello, "example.com", "[2001:db8::1]", 1), xmppHeader + "\n" + xmppFeatures},
		{xmppStart, " <proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'></proceed>"},
	}, greeting: xmppHeader + "\n" + xmppFeatures},
	{protocol: "xmpp", host: "a'b<c.", turns: []turn{
		{strings.Replace(xmppHello, "example.com", "a&#39;b&lt;c", 1), xmppHeader + xmppFeatures}, {xmppStart, xmppProceed},
	}, greeting: xmppHeader + xmppFeatures},
	{protocol: "xmpp", turns: []turn{ // asked for nobody
		{strings.Replace(xmppHello, " to='example.com'", "", 1), xmppHeader + xmppFeatures}, {xmppStart, xmppProceed},
	}, greeting: xmppHeader + xmppFeatures},
}

// each runs a test for one good dialogue of every protocol.
func each(t *testing.T, test func(t *testing.T, d dialogue)) {
	t.Helper()
	seen := map[string]bool{}
	for _, d := range good {
		if seen[d.protocol] {
			continue
		}
		seen[d.protocol] = true
		t.Run(d.protocol, func(t *testing.T) {
			t.Parallel()
			test(t, d)
		})
	}
	require.Len(t, seen, len(starttls.Protocols()), "a protocol without a dialogue")
}

func TestProtocols(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"ftp", "imap", "ldap", "lmtp", "mysql", "nntp", "pop3", "postgres", "sieve", "smtp", "xmpp"},
		starttls.Protocols())
	for _, protocol := range starttls.Protocols() {
		require.True(t, starttls.Known(protocol))
	}
	require.False(t, starttls.Known("SMTP"))
	require.False(t, starttls.Known(""))
	_, err := starttls.Open(t.Context(), nil, "gopher", "")
	require.ErrorIs(t, err, starttls.ErrUnknownProtocol)
}

func TestGoodDialogue(t *testing.T) {
	t.Parallel()
	for _, d := range good {
		for name, say := range map[string]sayer{"at once": atOnce, "byte by byte": byteByByte} {
			t.Run(d.protocol+" "+name, func(t *testing.T) {
				t.Parallel()
				p := newPair(t)
				greeting, err := p.open(t.Context(), d.protocol, d.host, d.turns, say)
				require.NoError(t, err)
				require.Equal(t, d.greeting, string(greeting))
				p.requireClean(t)
			})
		}
	}
}

// TestLongGreeting: the greeting is kept up to 8 KiB, and read on.
func TestLongGreeting(t *testing.T) {
	t.Parallel()
	line := "220-" + strings.Repeat("x", 1000) + "\r\n"
	long := strings.Repeat(line, 20) + "220 end\r\n"
	d := good[0]
	turns := append([]turn{{"", long}}, d.turns[1:]...)
	p := newPair(t)
	greeting, err := p.open(t.Context(), d.protocol, d.host, turns, atOnce)
	require.NoError(t, err)
	require.Equal(t, long[:8<<10], string(greeting))
	p.requireClean(t)
}
