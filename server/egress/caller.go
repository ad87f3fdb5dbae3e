package egress

import (
	"errors"
	"strings"
)

// callerPattern is a principal, or the beginning of principals.
type callerPattern struct {
	text   string // without the *
	prefix bool
}

func (c callerPattern) covers(caller string) bool {
	if c.prefix {
		return strings.HasPrefix(caller, c.text)
	}
	return caller == c.text
}

// parseCaller reads an exact principal, or a beginning of principals that ends
// in *. A * elsewhere is refused: whoever writes one expects a glob.
func parseCaller(s string) (callerPattern, error) {
	text, prefix := strings.CutSuffix(s, "*")
	switch {
	case s == "":
		return callerPattern{}, errors.New("it is empty")
	case strings.Contains(text, "*"):
		return callerPattern{}, errors.New("a * may stand at the end alone")
	}
	return callerPattern{text, prefix}, nil
}
