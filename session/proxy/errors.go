package proxy

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// ConfigError reports a [Config] that cannot be spoken.
type ConfigError struct {
	Field string // "kind", "username" or "password"
	Why   string // never the value
}

func (e *ConfigError) Error() string { return e.Field + " " + e.Why }

// RefusedError reports that the proxy did not make the connection.
type RefusedError struct {
	Kind Kind
	// Reply is the proxy's own words, as "407 Proxy Authentication Required", or what
	// its code means, as "connection refused by destination host (5)". Printable ASCII,
	// escaped, at most 256 bytes. Words that hold the password are replaced by the
	// code's usual ones.
	Reply string
	// Auth: it is about the credentials, or about there being none.
	Auth bool
}

func (e *RefusedError) Error() string {
	return "the " + e.Kind.String() + " proxy refused: " + e.Reply
}

// ReplyError reports that what answered is no proxy of this kind.
type ReplyError struct {
	Kind Kind
	Why  string // nothing of the reply itself
}

func (e *ReplyError) Error() string {
	return "no " + e.Kind.String() + " proxy: " + e.Why
}

const maxReply = 256

// escape makes the proxy's words safe for a log, a terminal and a message.
func escape(s string) string {
	const more = "..."
	var b strings.Builder
	fits := 0 // what of b has room for more behind it
	for s != "" && b.Len() <= maxReply {
		_, size := utf8.DecodeRuneInString(s)
		quoted := strconv.QuoteToASCII(s[:size])
		b.WriteString(quoted[1 : len(quoted)-1])
		if b.Len()+len(more) <= maxReply {
			fits = b.Len()
		}
		s = s[size:]
	}
	if b.Len() > maxReply {
		return b.String()[:fits] + more
	}
	return b.String()
}
