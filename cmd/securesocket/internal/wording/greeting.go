package wording

import "strings"

// maxGreeting is how much of a greeting is worth a line, in bytes.
const maxGreeting = 256

// Greeting is what a peer said before TLS, in one line once it is escaped: the start of it, without its last line break.
func Greeting(greeting []byte) string {
	text := strings.TrimRight(string(greeting), "\r\n")
	if len(text) > maxGreeting {
		return text[:maxGreeting] + "..."
	}
	return text
}
