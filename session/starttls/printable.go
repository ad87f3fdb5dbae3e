package starttls

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxWords = 256 // bytes of a peer's words in an error
	ellipsis = "..."
)

// printable makes the peer's words safe for a log, a terminal and a protobuf string: what is not printable, line ends and
// invalid UTF-8 among it, is escaped as in Go, and what is too long is cut with an ellipsis.
func printable(words string) string {
	var b strings.Builder
	fits := 0 // what may stay where the rest is too long
	for words = strings.TrimSpace(words); words != ""; {
		r, size := utf8.DecodeRuneInString(words)
		piece := words[:size]
		words = words[size:]
		if !strconv.IsPrint(r) || r == utf8.RuneError && size == 1 {
			quoted := strconv.Quote(piece)
			piece = quoted[1 : len(quoted)-1]
		}
		if b.Len()+len(piece) > maxWords {
			return b.String()[:fits] + ellipsis
		}
		b.WriteString(piece)
		if b.Len() <= maxWords-len(ellipsis) {
			fits = b.Len()
		}
	}
	return b.String()
}
