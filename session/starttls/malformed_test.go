package starttls_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"securesocket/session/starttls"

	"github.com/stretchr/testify/require"
)

// everywhere is what no protocol has anywhere.
var everywhere = []string{
	"garbage\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "\x15\x03\x01\x00\x02\x02\x46", "\x00\x00\x00\x00", "\r\n", "\n", "\xff\xff\xff\xff\xff",
}

func TestGarbage(t *testing.T) {
	t.Parallel()
	more := map[string]map[int][]string{
		"smtp": {
			0: {"220 a\n220 b\r\n", "220 a\rb\r\n", "220 a\rb", "220 a\x00\r\n", "220a\r\n", "22\r\n", "220-a\r\n250 b\r\n", "620 a\r\n", "220-a\r\nb\r\n", "* OK\r\n"},
			2: {"220 go\n", "220-a\r\n221 b\r\n"},
		},
		"imap": {
			0: {"* NO hello\r\n", "a1 OK\r\n", "+ go on\r\n", "* OK {3}\r\nabc\r\n"},
			1: {"a2 OK\r\n", "+ go on\r\n", "* CAPABILITY {8}\r\nSTARTTLS\r\na1 OK\r\n", "* LIST {33+}\r\n* CAPABILITY STARTTLS\r\na1 OK done\r\n", "a1 MAYBE\r\n", "a1\r\n"},
			2: {"a1 OK\r\n", "a2 PREAUTH\r\n", "a2OK\r\n"},
		},
		"pop3": {0: {"+OKAY\r\n", "+ok\r\n"}, 2: {"OK\r\n", "+OK\n"}},
		"ftp":  {0: {"220\n", "220_\r\n"}},
		"ldap": {0: {
			"\x30\x80", "\x30\x85\x00\x00\x00\x00\x01", "\x30\x82\x10\x01", "\x31\x00", "\x30\x00", "\x30\x03\x02\x01\x01", "\x3f\x01",
			"\x30\x0c\x02\x01\x02\x78\x07\x0a\x01\x00\x04\x00\x04\x00",          // message 2
			"\x30\x0c\x02\x01\x00\x78\x07\x0a\x01\x00\x04\x00\x04\x00",          // a notice of success
			"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00",          // a bind's response
			"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x80\x04\x00\x04\x00",          // a code below zero
			"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x01",          // beyond its parent
			"\x30\x0b\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00",          // a parent beyond it
			"\x30\x0f\x02\x01\x01\x78\x0a\x0a\x01\x00\x04\x00\x04\x00\x8a\x011", // another operation
		}},
		"xmpp": {
			0: {
				"<!DOCTYPE a [<!ENTITY b 'c'>]><stream:stream>", "<html>",
				"<!DOCTYPE a>" + xmppHeader + xmppFeatures, "<!-- a -->" + xmppHeader + xmppFeatures, "<?php ?>" + xmppHeader + xmppFeatures, "<stream:stream>",
				xmppHeader + "text<stream:features/>", xmppHeader + "<message/>", xmppHeader + "<stream:features>&b;</stream:features>",
				xmppHeader + "</stream:stream>", xmppHeader + "<stream:features></a>", "<?xml version='1.0' encoding='utf-16'?>",
			},
			1: {"<proceed/>", "<proceed xmlns='jabber:client'/>", "<iq/>", "proceed<a>", "</stream:stream>"},
		},
		"postgres": {0: {"s", "E\x00\x00\x00\x00", "E\x00\x00\x00\x04", "E\x00\x01\x00\x00", "E\x00\x00\x00\x07abc"}},
		"mysql": {0: {
			"\x00\x00\x00\x00", "\x01\x00\x00\x00\x09", "\x01\x00\x00\x00\x0a", "\x01\x00\x00\x00\xff", "\x03\x00\x00\x00\x0aa\x00",
			"\x01\x10\x00\x00", strings.Replace(mysqlGreeting(0xffff), "\x00\x00\x00\x0a", "\x00\x00\x01\x0a", 1),
		}},
		"nntp":  {0: {"200-hello\r\n200 there\r\n"}, 2: {"382\n"}},
		"sieve": {0: {"\"A\r\n", "\"A\" {3}\r\nabc\r\nOK\r\n", "A\r\n", "OK {3}\r\nabc\r\n"}, 1: {"\"A\"\r\n", "OK {3}\r\n", "NO {99999999999999999999}\r\n", "NO {5000}\r\n"}},
	}
	each(t, func(t *testing.T, d dialogue) {
		for i := range d.last() + 1 {
			for _, says := range append(more[d.protocol][i], everywhere...) {
				if strings.HasPrefix(says, "\n") || strings.HasPrefix(says, "\r") {
					if d.protocol == "xmpp" && i > 0 {
						continue // white space is none of the first answer's
					}
				}
				t.Run(fmt.Sprintf("%d %q", i, says), func(t *testing.T) {
					// The good rest follows, which a careless reader would go on with.
					said := dialogue{turns: append(d.with(i, says), d.turns[i+1:]...)}.said()
					conn := &memory{source: io.MultiReader(strings.NewReader(said), endless("\xc0\xff\xee"))}
					_, err := starttls.Open(t.Context(), conn, d.protocol, d.host)
					var bad *starttls.ReplyError
					require.ErrorAs(t, err, &bad)
					require.Equal(t, d.protocol, bad.Protocol)
					requirePrintable(t, bad.Reply)
				})
			}
		}
	})
}

// TestEndless: what a peer makes Open read is bounded, in each of its turns.
func TestEndless(t *testing.T) {
	t.Parallel()
	const line, lines, total = 4 << 10, 512, 64 << 10
	for _, tc := range []struct {
		protocol  string
		turn      int
		head      string
		goes      string // on for ever
		mostBytes int
	}{
		{"smtp", 0, "220 ", "x", line},
		{"smtp", 0, "", "220-x\r\n", lines * 8},
		{"smtp", 1, "", "250-" + strings.Repeat("x", 1000) + "\r\n", total},
		{"smtp", 2, "", "220-x\r\n", lines * 8},
		{"lmtp", 1, "", "250-x\r\n", lines * 8},
		{"imap", 0, "* OK ", "x", line},
		{"imap", 1, "", "* CAPABILITY x\r\n", lines * 20},
		{"imap", 2, "", "* OK\r\n", lines * 20},
		{"pop3", 1, "+OK\r\n", "x\r\n", lines * 20},
		{"pop3", 1, "+OK\r\n", "x", line + 50},
		{"ftp", 0, "220-", "x\r\n", lines * 4},
		{"ftp", 0, "220-a\r\n", "220-b\r\n", lines * 8},
		{"ftp", 1, "", "234-b\r\n", lines * 8},
		{"ldap", 0, "\x30\x84\x7f\xff\xff\xff", "x", 10},
		{"xmpp", 0, "<stream:stream a='", "x", total},
		{"xmpp", 0, xmppHeader, " ", total},
		{"xmpp", 0, xmppHeader + "<stream:features>", "<a>", total},
		{"xmpp", 0, xmppHeader + "<stream:features>", "<a/>", total},
		{"xmpp", 1, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'>", "x", total},
		{"postgres", 0, "E", "x", line + 1},
		{"mysql", 0, "\xff\xff\xff\x00", "x", 4},
		{"nntp", 1, "101\r\n", "x\r\n", lines * 20},
		{"sieve", 0, "", "\"x\"\r\n", lines * 6},
	} {
		t.Run(fmt.Sprintf("%s %d %q", tc.protocol, tc.turn, tc.head+tc.goes), func(t *testing.T) {
			t.Parallel()
			for _, d := range good {
				if d.protocol != tc.protocol {
					continue
				}
				conn := &memory{source: io.MultiReader(
					strings.NewReader(dialogue{turns: d.with(tc.turn, tc.head)}.said()), endless(tc.goes))}
				_, err := starttls.Open(t.Context(), conn, d.protocol, d.host)
				var bad *starttls.ReplyError
				require.ErrorAs(t, err, &bad)
				requirePrintable(t, bad.Reply)
				require.LessOrEqual(t, conn.taken, tc.mostBytes)
				return
			}
		})
	}
}
