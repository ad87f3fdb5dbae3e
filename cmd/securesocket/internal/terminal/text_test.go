package terminal

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// A style is laid around what is escaped; what is quoted brings none of its own.
func TestStyled(t *testing.T) {
	t.Parallel()
	parts := []Part{{Bad, "red\x1b[0m"}, {Plain, " plain\n"}, {Dim, ""}}
	plain := &Text{}
	plain.Styled(parts...)
	require.Equal(t, `red\x1b[0m plain\n`+"\n", plain.String())
	coloured := &Text{Colour: true}
	coloured.Styled(parts...)
	require.Equal(t, "\x1b[31m"+`red\x1b[0m`+"\x1b[0m"+` plain\n`+"\n", coloured.String())
}

func TestTakesColour(t *testing.T) {
	t.Parallel()
	terminal, err := os.Open("/dev/ptmx") // one end of a new terminal
	if err != nil {
		t.Skip("no terminal can be made here: ", err)
	}
	defer terminal.Close()
	file, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer file.Close()
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer null.Close()
	environment := func(pairs ...string) func(string) string {
		return func(name string) string {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == name {
					return pairs[i+1]
				}
			}
			return ""
		}
	}
	require.True(t, TakesColour(terminal, environment("TERM", "xterm")))
	require.False(t, TakesColour(terminal, environment("TERM", "dumb")))
	require.False(t, TakesColour(terminal, environment("NO_COLOR", "1")))
	require.False(t, TakesColour(file, environment()))
	require.False(t, TakesColour(null, environment()))
	require.False(t, TakesColour(&bytes.Buffer{}, environment()))

	require.True(t, TakesUnicode(environment("LANG", "de_DE.UTF-8")))
	require.True(t, TakesUnicode(environment("LC_CTYPE", "C.utf8", "LANG", "C")))
	require.False(t, TakesUnicode(environment("LC_ALL", "C", "LANG", "de_DE.UTF-8")))
	require.False(t, TakesUnicode(environment()))
}
