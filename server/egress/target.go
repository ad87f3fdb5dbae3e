package egress

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"securesocket/server/ruletext"
)

// Target is a parsed host. Exactly one field is set in what [ParseHost] returns,
// and two spellings of one target give equal Targets.
type Target struct {
	// Name is a DNS name in lower-case A-labels, without a trailing dot.
	Name string
	// Addr is an IP address without a zone; an IPv4-mapped IPv6 address is
	// held as the IPv4 address it is.
	Addr netip.Addr
}

// String returns the canonical spelling, which [ParseHost] reads back as t.
func (t Target) String() string {
	if t.Addr.IsValid() {
		return t.Addr.String()
	}
	return t.Name
}

// ErrEmptyHost is what errors.Is finds in the [SyntaxError] of an empty host.
var ErrEmptyHost = errors.New("the host is empty")

// SyntaxError says that a host is neither a DNS name nor an IP address as this
// service reads them.
type SyntaxError struct {
	// Host is what was given, unchanged and untrusted.
	Host string
	// Why says what is wrong with it.
	Why string
	// Remedy says what to write instead; empty when there is no one answer.
	Remedy string

	cause error
}

func (e *SyntaxError) Error() string {
	s := fmt.Sprintf("host %s: %s", ruletext.Quote(e.Host), e.Why)
	if e.Remedy != "" {
		s += "; " + e.Remedy
	}
	return s
}

// Unwrap returns [ErrEmptyHost], the error of the IDNA mapping, or nil.
func (e *SyntaxError) Unwrap() error { return e.cause }

const (
	maxName  = 253 // RFC 1035 section 2.3.4, in the textual form without the last dot
	maxLabel = 63
)

// names is the Lookup profile of UTS #46 but for two things: ASCII outside
// letters, digits and hyphens is left to checkLabels, which tolerates the
// underscore, and the lengths are checked.
var names = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(false), idna.VerifyDNSLength(true))

// ParseHost reads a DNS name or an IP address literal, or returns a
// [*SyntaxError]. It accepts no spelling that another reader could take for
// another target: the forms of inet_aton (127.1, 0x7f.1, 2130706433), zones,
// brackets, a trailing dot. Names are judged after IDNA mapping, so full-width
// digits and dots are seen as what they become.
func ParseHost(host string) (Target, error) {
	fail := func(why, remedy string, cause error) (Target, error) {
		return Target{}, &SyntaxError{Host: host, Why: why, Remedy: remedy, cause: cause}
	}
	switch {
	case host == "":
		return fail("it is empty", "give a DNS name or an IP address", ErrEmptyHost)
	case len(host) > maxName:
		// First, so that no later step works on long input. That some name in
		// Unicode shrinks below the limit in A-labels is not worth the work.
		return fail("it is longer than 253 bytes", "", nil)
	case !utf8.ValidString(host):
		return fail("it is not valid UTF-8", "", nil)
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Zone() != "" {
			return fail("an address with a zone is not accepted", "leave out the % and what follows", nil)
		}
		return Target{Addr: addr.Unmap()}, nil
	}
	for _, r := range host {
		if why, remedy := badRune(r); why != "" {
			return fail(why, remedy, nil)
		}
	}

	name := strings.ToLower(host)
	// Plain ASCII names do not go through IDNA, whose rule about hyphens in
	// the third and fourth place would refuse names that are in wide use
	// (r3---sn-example.googlevideo.com).
	if !isASCII(host) || strings.HasPrefix(name, "xn--") || strings.Contains(name, ".xn--") {
		mapped, err := names.ToASCII(host)
		if err != nil {
			return fail("it is not a valid internationalised name", "write it in A-labels (xn--...)", err)
		}
		name = mapped
	}
	if why, remedy := checkLabels(name); why != "" {
		return fail(why, remedy, nil)
	}
	return Target{Name: name}, nil
}

// badRune names the characters for which there is something better to say
// than that a label may not hold them.
func badRune(r rune) (why, remedy string) {
	switch {
	case r == '[' || r == ']':
		return "brackets are not part of a host", "write an IPv6 address without brackets, the port by itself"
	case r == '%':
		return "a zone or an escape is not accepted", "leave out the % and what follows"
	case r == ':':
		return "it is not an IPv6 address, and a name holds no colon", "give the port by itself"
	case r == '/' || r == '@':
		return "it is an URL or a part of one", "give the host alone"
	case unicode.IsSpace(r) || unicode.IsControl(r):
		return "it holds a space or a control character", "remove it"
	}
	return "", ""
}

// checkLabels judges a name that is already lower-case ASCII, if it is a name.
func checkLabels(name string) (why, remedy string) {
	if strings.HasSuffix(name, ".") {
		return "it ends in a dot", "leave the dot out; a name with dots in it is taken as fully qualified"
	}
	if len(name) > maxName {
		return "it is longer than 253 bytes", ""
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		switch {
		case label == "":
			return "it has an empty label", ""
		case len(label) > maxLabel:
			return "a label is longer than 63 bytes", ""
		case label[0] == '-' || label[len(label)-1] == '-':
			return "a label begins or ends with a hyphen", "" // RFC 1123 section 2.1
		}
		for _, c := range []byte(label) {
			// The underscore is in no host name (RFC 952), but in names that
			// resolve (RFC 8552).
			if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
				return "it holds a character that a DNS name cannot hold", ""
			}
		}
	}
	// A last label that is a number makes a whole name an IPv4 address to
	// inet_aton and to URL parsers (WHATWG URL, "ends in a number"). No top-level
	// domain is one (RFC 3696 section 2).
	if isNumber(labels[len(labels)-1]) {
		return "it reads like an IPv4 address in another spelling", "write the address as four decimal numbers, without leading zeros"
	}
	return "", ""
}

func isNumber(label string) bool {
	digits := "0123456789"
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		label, digits = hex, "0123456789abcdef" // 0x alone is 0 to some readers
	}
	return strings.Trim(label, digits) == ""
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
