package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// shape is how many parts a value has.
type shape int

const (
	scalar shape = iota
	list         // of scalars
	files        // names with a file each
	pairs        // names with a certificate and a key each
)

// kind is a type of value: how it is read, judged and written.
type kind struct {
	shape shape
	noun  string   // what is expected, with an example
	tags  []string // of a scalar: what YAML may take it for; parse judges the rest
	// parse reads a scalar: a string, a bool, or an int64 for everything that is a number.
	parse func(s *setting, text string) (any, *mistake)
	print func(n int64) string // writes a number as it is read; nil if it is none
}

// yaml's names for the types of plain scalars.
const (
	stringTag = "!!str"
	boolTag   = "!!bool"
	intTag    = "!!int"
	floatTag  = "!!float"
)

var (
	text    = &kind{noun: `a text, in quotes if it looks like a number`, tags: []string{stringTag}, parse: parseText}
	boolean = &kind{noun: "true or false", tags: []string{boolTag}, parse: parseBool}
	texts   = &kind{shape: list, noun: `a list, as ["one", "two"]`}
	bundles = &kind{shape: files, noun: `a mapping of names to files, as {corp: "/etc/corp.pem"}`}
	keys    = &kind{shape: pairs, noun: `a mapping of names to files, as {mine: {cert: "/etc/mine.pem", key: "/etc/mine.key"}}`}

	integer  = number("a whole number, as 1000", "", plainInteger)
	percent  = number("a share, as 25%", "%", suffixed("%"))
	rate     = number("a rate, as 50/s", "/s", suffixed("/s"))
	duration = number("a duration in h, m, s or ms, as 10s", "s", plainDuration)
	size     = number("a size, as 512MiB", "MiB", plainSize)
	byteRate = number("a rate, as 100MiB/s", "MiB/s", sizeRate)
)

// choice is one word of a few.
func choice(words ...string) *kind {
	noun := strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
	return &kind{noun: noun, tags: []string{stringTag}, parse: func(_ *setting, t string) (any, *mistake) {
		if !slices.Contains(words, t) {
			return nil, mistakef(OutOfRange, "%q is not known: write %s", t, noun)
		}
		return t, nil
	}}
}

// parseText refuses what no path and no name has: it could forge lines of a log or of what is shown.
func parseText(_ *setting, t string) (any, *mistake) {
	if !utf8.ValidString(t) || strings.ContainsFunc(t, unicode.IsControl) {
		return nil, mistakef(OutOfRange, "%q has a character that is not printable: remove it", t)
	}
	return t, nil
}

func parseBool(_ *setting, t string) (any, *mistake) {
	if t != "true" && t != "false" {
		return nil, mistakef(WrongType, "%q is neither true nor false: write one of them", t)
	}
	return t == "true", nil
}

// endless are the words by which one would ask for no limit at all.
var endless = []string{"infinite", "infinity", "inf", ".inf", "unlimited", "none", "never", "off", "no", "disabled", "-1"}

// notation is how the numbers of a kind are written. read returns false for what is not written so.
type notation struct {
	read  func(string) (n int64, ok bool)
	print func(int64) string
	huge  func(string) bool // what read returns false for since there is no such number; nil: nothing
}

// number makes the kind of a number with a unit that has to be written.
func number(noun, unit string, n notation) *kind {
	k := &kind{noun: noun, tags: []string{stringTag, intTag, floatTag}, print: n.print}
	k.parse = func(s *setting, t string) (any, *mistake) {
		if slices.Contains(s.zero, t) {
			return int64(0), nil
		}
		if v, ok := n.read(t); ok {
			if m := s.inRange(v); m != nil {
				return nil, m
			}
			return v, nil
		}
		if slices.Contains(endless, strings.ToLower(t)) {
			return nil, mistakef(OutOfRange, "%q is refused, since each limit is finite: write a value %s", t, s.bounds())
		}
		if n.huge != nil && n.huge(t) {
			return nil, mistakef(OutOfRange, "%q is out of range: write a value %s", t, s.bounds())
		}
		if _, err := strconv.ParseFloat(t, 64); err == nil && unit != "" {
			if v, ok := n.read(t + unit); ok && s.inRange(v) == nil {
				return nil, mistakef(WrongType, "%q has no unit: write %s", t, t+unit)
			}
			return nil, mistakef(WrongType, "%q has no unit: write a value %s", t, s.bounds())
		}
		return nil, mistakef(WrongType, "%q is not %s: write a value %s", t, noun, s.bounds())
	}
	return k
}

var plainInteger = notation{read: digits, print: func(n int64) string { return strconv.FormatInt(n, 10) }}

// digits reads a number in the one way to write it: 010 and 1_000 mean other things elsewhere.
func digits(t string) (int64, bool) {
	n, err := strconv.ParseInt(t, 10, 64)
	return n, err == nil && strconv.FormatInt(n, 10) == t
}

func suffixed(suffix string) notation {
	return notation{
		read: func(t string) (int64, bool) {
			t, ok := strings.CutSuffix(t, suffix)
			n, isNumber := digits(t)
			return n, ok && isNumber
		},
		print: func(n int64) string { return strconv.FormatInt(n, 10) + suffix },
	}
}

// durations is how time.ParseDuration wants durations, which tells one that is too long by the text of its error alone.
var durations = regexp.MustCompile(`^[+-]?((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+$`)

var plainDuration = notation{
	huge: durations.MatchString,
	read: func(t string) (int64, bool) {
		d, err := time.ParseDuration(t)
		return int64(d), err == nil && t != "0"
	},
	print: func(n int64) string {
		t := time.Duration(n).String()
		if strings.HasSuffix(t, "m0s") {
			t = strings.TrimSuffix(t, "0s")
		}
		if strings.HasSuffix(t, "h0m") {
			t = strings.TrimSuffix(t, "0m")
		}
		return t
	},
}

// units are those of sizes, the greatest first.
var units = []struct {
	name  string
	bytes int64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

var plainSize = notation{
	read: func(t string) (int64, bool) {
		for _, u := range units {
			if number, ok := strings.CutSuffix(t, u.name); ok {
				n, ok := digits(number)
				return n * u.bytes, ok && n >= 0 && n <= (1<<62)/u.bytes
			}
		}
		return 0, false
	},
	print: func(n int64) string {
		for _, u := range units {
			if n != 0 && n%u.bytes == 0 {
				return fmt.Sprintf("%d%s", n/u.bytes, u.name)
			}
		}
		return "0B"
	},
}

var sizeRate = notation{
	read: func(t string) (int64, bool) {
		t, ok := strings.CutSuffix(t, "/s")
		n, isSize := plainSize.read(t)
		return n, ok && isSize
	},
	print: func(n int64) string { return plainSize.print(n) + "/s" },
}
