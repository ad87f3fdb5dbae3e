package client_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/client"
)

// FuzzTokenFile: what is taken can stand in a header, and what is refused is not told.
func FuzzTokenFile(f *testing.F) {
	for _, seed := range []string{"", "token\n", "a.b-c_d~e+f/==", "two words", "new\r\nline", "t\x00", "=", "ümlaut"} {
		f.Add([]byte(seed))
	}
	file := filepath.Join(f.TempDir(), "token")
	f.Fuzz(func(t *testing.T, content []byte) {
		require.NoError(t, os.WriteFile(file, content, 0o600))
		c, err := client.Dial("unix:///s", client.WithTokenFile(file))
		if err != nil {
			if word := strings.TrimSpace(string(content)); len(word) > 20 {
				require.NotContains(t, err.Error(), word)
			}
			return
		}
		require.NoError(t, c.Close())
		for _, b := range []byte(strings.TrimSpace(string(content))) {
			require.True(t, b > ' ' && b < 0x7f, "%q", content)
		}
	})
}
