package tlsengine

import (
	"strconv"
	"strings"
)

const (
	maxQuotedBytes = 256 // of one value
	maxQuotedNames = 20  // of one list
)

// quote makes a string that somebody else chose safe for a log, a terminal and a message: in quotes, ASCII, bounded.
func quote(s string) string {
	if len(s) <= maxQuotedBytes {
		return strconv.QuoteToASCII(s)
	}
	return strconv.QuoteToASCII(s[:maxQuotedBytes]) + "..."
}

// quoteList quotes the first names of a list and says how many more there are.
func quoteList(names []string) string {
	var b strings.Builder
	for i, name := range names {
		if i == maxQuotedNames {
			b.WriteString(" and " + strconv.Itoa(len(names)-i) + " more")
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quote(name))
	}
	return b.String()
}
