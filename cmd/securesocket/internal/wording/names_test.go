package wording

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNames(t *testing.T) {
	t.Parallel()
	for want, names := range map[string][]string{
		"":                                  nil,
		"a.example, *.b_c.example, ::1":     {"a.example", "*.b_c.example", "::1"},
		`"evil.test, good.example"`:         {"evil.test, good.example"},
		`a, "", "b c"`:                      {"a", "", "b c"},
		`"a\", \"b", "c\\"`:                 {`a", "b`, `c\`},
		`"uri:spiffe://d/e", "o@f.example"`: {"uri:spiffe://d/e", "o@f.example"},
	} {
		require.Equal(t, want, Names(names))
	}
}

// However odd two names are, one that is not like them is never said the same way.
func FuzzNames(f *testing.F) {
	f.Add("a", "b")
	f.Add(`a", "b`, "")
	f.Add(`\", `, `\`)
	f.Fuzz(func(t *testing.T, a, b string) {
		require.NotEqual(t, Names([]string{a, b}), Names([]string{a + ", " + b}))
		require.NotEqual(t, Names([]string{a, b}), Names([]string{a + `", "` + b}))
		if !strings.ContainsFunc(a, unusual) && a != "" {
			require.Equal(t, a, Names([]string{a}))
		}
	})
}
