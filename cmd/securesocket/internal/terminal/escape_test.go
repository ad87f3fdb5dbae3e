package terminal

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEscape(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain \"quoted\" \\ b\u00fccher": "plain \"quoted\" \\ b\u00fccher",
		"\x1b[31m":                        `\x1b[31m`,
		"a\r\nb\tc\x00\x7f":               `a\r\nb\tc\x00\x7f`,
		"\u009b2J":                        `\u009b2J`,
		"\u202eabc\u200b":                 `\u202eabc\u200b`,
		"\xff\xfe":                        `\xff\xfe`,
		"\U000e0041":                      `\U000e0041`,
	} {
		require.Equal(t, want, Escape(in), "%q", in)
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("a\x1b\u202e\U000e0041\xff\"\\")
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range Escape(s) {
			require.GreaterOrEqual(t, r, ' ')
			require.NotContains(t, []rune{0x7f, 0x9b, 0x202e}, r)
		}
		// JSON means the same after it.
		before, err := json.Marshal(s)
		require.NoError(t, err)
		var want, got string
		require.NoError(t, json.Unmarshal(before, &want))
		require.NoError(t, json.Unmarshal(EscapeJSON(before), &got))
		require.Equal(t, want, got)
	})
}
