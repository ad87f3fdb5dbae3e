package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/tlstest"
)

// TestCheckWarnsOfACertificateThatIsOver: the start warns as well, and serves.
func TestCheckWarnsOfACertificateThatIsOver(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]tlstest.Option{"valid": nil, "over": {tlstest.Expired()}, "not yet": {tlstest.NotYetValid()}} {
		cert, key := tlstest.NewCA(t).Leaf(opts...).WriteFiles(t.TempDir())
		args := []string{"--listen", "grpcs://127.0.0.1:0", "--tls-cert", cert, "--tls-key", key}
		out, errs := command(t, exitOK, nil, append([]string{"config", "check"}, args...)...)
		require.NotEmpty(t, out, name)
		started := start(t, 1, nil, args...)
		if opts == nil {
			require.Empty(t, errs, name)
			require.NotContains(t, started.log(), "level=WARN", name)
			continue
		}
		require.Equal(t, 1, strings.Count(errs, "\n"), errs)
		require.True(t, strings.HasPrefix(errs, "warning: "), errs)
		require.Contains(t, errs, cert, name)
		soon(t, "the start warns", func() bool { return strings.Contains(started.log(), "level=WARN") }) // the log comes after it is ready
	}
}

// TestCheckWarnsWhereNobodyIsLetIn: both may be meant so, and the service starts.
func TestCheckWarnsWhereNobodyIsLetIn(t *testing.T) {
	t.Parallel()
	tokens := filepath.Join(t.TempDir(), "tokens")
	require.NoError(t, os.WriteFile(tokens, []byte("# none yet\n"), 0o600))
	for key, text := range map[string]string{"callers.allow": "callers: {allow: []}\n", tokens: "callers: {tokens: " + tokens + "}\n"} {
		file := filepath.Join(t.TempDir(), "c.yaml")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		_, errs := command(t, exitOK, nil, "config", "check", "--config", file)
		require.Equal(t, 1, strings.Count(errs, "\n"), errs)
		require.True(t, strings.HasPrefix(errs, "warning: "), errs)
		require.Contains(t, errs, key)
	}
}
