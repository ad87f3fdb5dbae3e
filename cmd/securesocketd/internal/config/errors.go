package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is what is wrong with a setting.
type Problem int

// The problems.
const (
	Unreadable  Problem = iota + 1 // the file cannot be read, or is too long
	Syntax                         // it is no YAML
	Unsupported                    // an anchor, an alias, a tag, a second document
	Unknown                        // there is no such key
	Duplicate                      // it is there twice
	WrongType                      // another type of value, or a number without its unit
	OutOfRange                     // a value that is not one of those there may be
	Conflict                       // each is well, but not together
)

// Error is one mistake of the operator, and what would mend it. The text never has the contents of a file but for the
// value at fault, and no value is a secret.
type Error struct {
	Origin  Origin
	Path    string // of the setting or the section; empty about a file as a whole
	Problem Problem
	Why     string
}

func (e *Error) Error() string {
	if before := e.Origin.before(e.Path); before != "" {
		return before + ": " + e.Why
	}
	return e.Why
}

// Errors is every mistake that was found, at least one: those of flags last, those of the file in the order of its
// lines.
type Errors []*Error

func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the mistakes to errors.As.
func (es Errors) Unwrap() []error {
	errs := make([]error, len(es))
	for i, e := range es {
		errs[i] = e
	}
	return errs
}

// add notes a mistake.
func (es *Errors) add(o Origin, path string, p Problem, format string, args ...any) {
	*es = append(*es, &Error{Origin: o, Path: path, Problem: p, Why: fmt.Sprintf(format, args...)})
}

// err is nil if there are none.
func (es Errors) err() error {
	if len(es) == 0 {
		return nil
	}
	slices.SortStableFunc(es, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Origin.Layer, b.Origin.Layer), cmp.Compare(a.Origin.Line, b.Origin.Line))
	})
	return es
}

// mistake is a Problem of a value whose place its reader does not know.
type mistake struct {
	problem Problem
	why     string
}

func (m *mistake) Error() string { return m.why }

func mistakef(p Problem, format string, args ...any) *mistake {
	return &mistake{p, fmt.Sprintf(format, args...)}
}
