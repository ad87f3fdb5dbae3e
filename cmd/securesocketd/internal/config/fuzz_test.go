package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzConfigFile: no file makes the service panic; one that is refused is refused with a line; one that is accepted is
// shown so that it means the same.
func FuzzConfigFile(f *testing.F) {
	for _, seed := range []string{
		"", "{}", "insecure: true\n", "listen: [a]\n", "a: &a [*a]\n", "---\n---\n", "limits: {sessions: 1e9, memory: auto}\n",
		"timeouts:\n  dns: 1.5s # x\n", "bundles: {\"\\u2028\": \"#\"}\n", "? [a]\n: b\n", "!!map {}\n", "log:\n  level: warn\n\n# x\n", "%YAML 1.2\n", everything,
	} {
		f.Add([]byte(seed))
	}
	read := func(data []byte) (*Config, error) {
		var errs Errors
		return load(readDocument("f", data, &errs), new(Flags), nil, errs)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := read(data)
		if err != nil {
			for _, e := range mistakes(t, err) {
				require.Equal(t, File, e.Origin.Layer, e)
				require.Positive(t, e.Origin.Line, e)
				require.NotContains(t, e.Error(), "\x1b")
			}
			return
		}
		again, err := read([]byte(shown(t, c, true)))
		require.NoError(t, err, shown(t, c, true))
		require.Equal(t, bare(c), bare(again))
	})
}
