package terminal

import (
	"io"
	"os"
	"strings"
)

// TakesColour reports whether w is a terminal whose user wants colours: NO_COLOR (no-color.org) and TERM=dumb say no.
func TakesColour(w io.Writer, getenv func(string) string) bool {
	file, ok := w.(*os.File)
	return ok && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb" && isTerminal(file)
}

// TakesUnicode reports whether the locale's characters are UTF-8, by the first variable that is set, as in POSIX.
func TakesUnicode(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := strings.ToLower(getenv(name)); value != "" {
			return strings.Contains(value, "utf-8") || strings.Contains(value, "utf8")
		}
	}
	return false
}
