package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/server/callers"
)

func TestTokenNew(t *testing.T) {
	t.Parallel()
	token, line := command(t, exitOK, nil, "token", "new", "deploy")
	token = strings.TrimSuffix(token, "\n")
	require.Equal(t, "deploy "+callers.HashToken([]byte(token))+"\n", line)
	again, _ := command(t, exitOK, nil, "token", "new", "deploy")
	require.NotEqual(t, token+"\n", again)

	// The file is as the service wants it, also behind a last line without an end.
	file := filepath.Join(t.TempDir(), "tokens")
	_, errs := command(t, exitOK, nil, "token", "new", "--file", file, "one")
	require.Empty(t, errs)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, append(text, "# comment"...), 0o600))
	token, _ = command(t, exitOK, nil, "token", "new", "two", "--file", file)
	text, err = os.ReadFile(file)
	require.NoError(t, err)
	require.NotContains(t, string(text), strings.TrimSpace(token))
	lines := strings.Split(string(text), "\n")
	require.Equal(t, "two "+callers.HashToken([]byte(strings.TrimSpace(token))), lines[2])
	_, errs = command(t, exitOK, nil, "config", "check", "--callers-tokens", file)
	require.Empty(t, errs)

	for _, args := range [][]string{{"token"}, {"token", "new"}, {"token", "new", "a", "b"}, {"token", "new", "a b"}, {"token", "new", "-"}, {"token", "nonsense"}} {
		out, _ := command(t, exitUsage, nil, args...)
		require.Empty(t, out)
	}
	out, _ := command(t, exitError, nil, "token", "new", "a", "--file", t.TempDir())
	require.Empty(t, out, "no token without its line")
}
