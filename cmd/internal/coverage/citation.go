package main

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
)

const module = "securesocket"

// citation names a test, or a subtest by its path, as the go command prints it: with underscores for spaces.
type citation struct {
	folder string // of the package, seen from the top of the module; "." for the top
	test   string // TestName, or TestName/subtest
}

var citationForm = regexp.MustCompile(`^([a-z][a-z0-9/]*)\.((?:Test|Example|Fuzz)[A-Za-z0-9_]*(?:/\S+)?)$`)

// parseCitation reads package.TestName or package.TestName/subtest, where the package is a folder of the module, or the
// module's own name for its top.
func parseCitation(s string) (citation, error) {
	m := citationForm.FindStringSubmatch(s)
	if m == nil {
		return citation{}, fmt.Errorf("%q is not of the form package.TestName or package.TestName/subtest", s)
	}
	if m[1] == module {
		m[1] = "."
	}
	return citation{folder: m[1], test: m[2]}, nil
}

func (c citation) String() string { return packageName(c.folder) + "." + c.test }

func packageName(folder string) string {
	if folder == "." {
		return module
	}
	return folder
}

// top is the test that the go command is asked to run.
func (c citation) top() string {
	name, _, _ := strings.Cut(c.test, "/")
	return name
}

func compareCitations(a, b citation) int {
	return cmp.Or(strings.Compare(a.folder, b.folder), strings.Compare(a.test, b.test))
}
