package starttls_test

import (
	"context"
	"net"
	"testing"
	"time"

	"securesocket/session/starttls"

	"github.com/stretchr/testify/require"
)

// injections are what an attacker might put between the peer's bytes: half a line, lines, agreements, a hello.
var injections = []string{
	"X", "\r\n", "\r\n220 go\r\n", "a2 OK\r\n", "S", "N", "\x00", "/>", "<a/>", "\"", "\x16\x03\x03\x00\x01\x02",
}

// TestInjectedBehind: bytes behind the last reply, in its segment, are the handshake's to nobody.
func TestInjectedBehind(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d dialogue) {
		for _, injected := range injections {
			p := newPair(t)
			last := d.last()
			_, err := p.open(t.Context(), d.protocol, d.host, d.with(last, d.turns[last].peer+injected), atOnce)
			var injection *starttls.InjectionError
			require.ErrorAs(t, err, &injection, "%q", injected)
			require.Equal(t, d.protocol, injection.Protocol)
			p.close()
		}
	})
}

// TestInjectedWithin: bytes anywhere in the last reply change it. Either it is none any more, or all of it was read: where
// Open succeeds nothing is left over.
func TestInjectedWithin(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d dialogue) {
		last := d.last()
		reply := d.turns[last].peer
		opened := 0
		for at := range len(reply) {
			for _, injected := range injections {
				p := newPair(t)
				turns := append(d.with(last, reply[:at]+injected+reply[at:]), d.turns[last+1:]...)
				// Some have the client wait for more, and that has to end here.
				ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
				_, err := p.open(ctx, d.protocol, d.host, turns, atOnce)
				cancel()
				if err == nil {
					opened++
					p.requireClean(t)
				}
				p.close()
			}
		}
		t.Logf("%d of %d opened", opened, len(reply)*len(injections))
	})
}

// TestSaidBeforeAsked: of a peer that answers before it is asked nobody knows what it answers, except where it may speak
// at any time; there every byte that it said has to be read.
func TestSaidBeforeAsked(t *testing.T) {
	t.Parallel()
	speaksFreely := map[string]bool{"imap": true, "xmpp": true, "ldap": true, "postgres": true} // of the last two there is one reply
	each(t, func(t *testing.T, d dialogue) {
		if d.protocol == "mysql" {
			return // its peer is not asked
		}
		all, said := d.said(), false
		p := newPair(t)
		_, err := p.open(t.Context(), d.protocol, d.host, d.turns, func(peer *net.TCPConn, _ string) bool {
			if !said {
				said = true
				return atOnce(peer, all)
			}
			return true
		})
		if speaksFreely[d.protocol] {
			require.NoError(t, err)
			p.requireClean(t)
			return
		}
		var injection *starttls.InjectionError
		require.ErrorAs(t, err, &injection)
	})
}
