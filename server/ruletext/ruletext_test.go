package ruletext

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestQuotedTextIsCut(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 256)
	require.Equal(t, `"`+long+`"`, Quote(long))
	require.Equal(t, `"`+long+`"...`, Quote(long+"b"))
	require.Equal(t, `"\n\u00e9"`, Quote("\né"))
}

func TestPrefixes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"10.0.0.0/8": "10.0.0.0/8", "::/0": "::/0", "2001:db8::/32": "2001:db8::/32",
		"::ffff:10.0.0.0/104": "10.0.0.0/8", "::ffff:10.1.2.3/128": "10.1.2.3/32",
	} {
		p, ok, err := Entry{Of: "test", Text: text}.Prefix()
		require.NoError(t, err, text)
		require.True(t, ok, text)
		require.Equal(t, netip.MustParsePrefix(want), p, text)
	}
	for _, text := range []string{"10.1.2.3/8", "10.0.0.0/33", "10.0.0.0/", "/8", "[::]/0", "::/0:443"} {
		_, ok, err := Entry{Of: "test", Text: text}.Prefix()
		require.True(t, ok, text)
		var entry *Error
		require.ErrorAs(t, err, &entry, text)
		require.Equal(t, [2]string{"test", text}, [2]string{entry.Of, entry.Entry})
	}
	_, ok, err := Entry{Text: "10.0.0.1"}.Prefix()
	require.NoError(t, err)
	require.False(t, ok)
}

func TestPorts(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Ports{"1": {1, 1}, "65535": {65535, 65535}, "443-443": {443, 443}, "1-65535": {1, 65535}} {
		got, err := ParsePorts(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
		require.False(t, got.Contains(int(want.First)-1))
		require.True(t, got.Contains(int(want.First)))
		require.True(t, got.Contains(int(want.Last)))
		require.False(t, got.Contains(int(want.Last)+1))
	}
	for _, text := range []string{"", "0", "00", "01", "+1", "-1", "1-", "2-1", "1-0", "1-2-3", "65536", "a", " 1"} {
		_, err := ParsePorts(text)
		require.Error(t, err, text)
	}
}
