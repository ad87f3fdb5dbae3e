package starttls_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"securesocket/session/starttls"

	"github.com/stretchr/testify/require"
)

// FuzzOpen says anything to each protocol. Open ends, within its bounds and with an error that it has; and what it took to
// succeed is all that its success depends on.
func FuzzOpen(f *testing.F) {
	for _, d := range good {
		for i := range d.last() + 1 {
			f.Add(d.protocol, dialogue{turns: d.with(i, d.turns[i].peer)}.said())
			f.Add(d.protocol, dialogue{turns: d.with(i, "554 no\r\n-ERR no\r\n* BYE\r\n")}.said())
		}
	}
	f.Add("sieve", "NO {3}\r\nabc")
	f.Add("mysql", "\x0a\x00\x00\x00\xff\x69\x04blocked")
	f.Add("postgres", "E\x00\x00\x00\x0dSFATAL\x00M\x00\x00")
	f.Add("postgres", "Ecould not fork\x00")
	f.Add("ldap", "\x30\x0f\x02\x01\x01\x78\x0a\x0a\x01\x02\x04\x00\x04\x03no!")
	f.Fuzz(func(t *testing.T, protocol, said string) {
		conn := &memory{source: strings.NewReader(said)}
		greeting, err := starttls.Open(t.Context(), conn, protocol, "example.com")
		require.LessOrEqual(t, conn.taken, 64<<10)
		require.LessOrEqual(t, len(greeting), 8<<10)
		if err == nil {
			require.True(t, strings.HasPrefix(said, string(greeting)))
			again := &memory{source: strings.NewReader(said[:conn.taken] + "\r\n> more")}
			more, err := starttls.Open(t.Context(), again, protocol, "example.com")
			require.NoError(t, err)
			require.Equal(t, conn.taken, again.taken)
			require.Equal(t, greeting, more)
			return
		}
		require.Nil(t, greeting)
		var (
			refused *starttls.RefusedError
			bad     *starttls.ReplyError
		)
		switch {
		case errors.As(err, &refused):
			require.Equal(t, protocol, refused.Protocol)
			requirePrintable(t, refused.Reply)
		case errors.As(err, &bad):
			require.Equal(t, protocol, bad.Protocol)
			requirePrintable(t, bad.Reply)
		case errors.Is(err, starttls.ErrUnknownProtocol):
			require.False(t, starttls.Known(protocol))
		default:
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		}
	})
}
