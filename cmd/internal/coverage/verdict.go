package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// event is one line of go test -json, as far as it matters here; see go doc test2json.
type event struct {
	Action     string
	Package    string
	ImportPath string // of build-output and build-fail, instead of Package
	Test       string
	Output     string
}

// results are the outcomes of the tests of one package, and what those that did not pass have printed.
type results struct {
	outcomes map[string]string // by path: pass, fail or skip; "" is the package
	printed  map[string]*strings.Builder
}

// readEvents takes what go test -json prints about one package.
func readEvents(from io.Reader) (results, error) {
	r := results{outcomes: make(map[string]string), printed: make(map[string]*strings.Builder)}
	for d := json.NewDecoder(from); ; {
		var e event
		if err := d.Decode(&e); errors.Is(err, io.EOF) {
			return r, nil
		} else if err != nil {
			return r, fmt.Errorf("go test -json: %w", err)
		}
		switch e.Action {
		case "output", "build-output":
			b := r.printed[e.Test]
			if b == nil {
				b = new(strings.Builder)
				r.printed[e.Test] = b
			}
			b.WriteString(e.Output)
		case "pass":
			delete(r.printed, e.Test)
			r.outcomes[e.Test] = e.Action
		case "fail", "skip":
			r.outcomes[e.Test] = e.Action
		case "build-fail":
			r.outcomes[""] = "fail"
		}
	}
}

// verdict is what became of a cited test.
type verdict int

const (
	passed  verdict = iota
	missing         // there is no such test, or it was not reached
	failed
	skipped // it, or a part of it
)

func (v verdict) String() string {
	return [...]string{"passed", "does not exist", "failed", "was skipped"}[v]
}

// judge decides about one test, and names the one that decides: itself, one that it is part of, or one of its parts. A
// skip of a part counts, since nobody can tell what the part would have shown; whoever does not need it cites the others.
func (r results) judge(test string) (verdict, string) {
	for path := test; path != ""; {
		switch r.outcomes[path] {
		case "fail":
			return failed, path
		case "skip":
			return skipped, path
		}
		end := strings.LastIndexByte(path, '/')
		path = path[:max(end, 0)]
	}
	if r.outcomes[test] == "" {
		if r.outcomes[""] == "fail" {
			return failed, "" // it did not compile, or ended before
		}
		return missing, test
	}
	for path, outcome := range r.outcomes {
		if outcome == "skip" && strings.HasPrefix(path, test+"/") {
			return skipped, path
		}
	}
	if r.brokeAlone() {
		return failed, ""
	}
	return passed, test
}

// brokeAlone tells that the package failed and none of its tests did: what was wrong then, such as a goroutine that was
// left behind, may be anybody's.
func (r results) brokeAlone() bool {
	if r.outcomes[""] != "fail" {
		return false
	}
	for path, outcome := range r.outcomes {
		if path != "" && outcome == "fail" {
			return false
		}
	}
	return true
}

// judgement is a cited test that does not show what it is cited for.
type judgement struct {
	row     string
	test    citation
	verdict verdict
	by      string // the test that decides; "" is the package
}

func (j judgement) Error() string {
	if j.by == j.test.test {
		return fmt.Sprintf("row %s: %s %s", j.row, j.test, j.verdict)
	}
	by := j.by
	if by == "" {
		by = "the package"
	}
	return fmt.Sprintf("row %s: %s does not count: %s %s", j.row, j.test, by, j.verdict)
}

// noTest is a row without a test and without a reason for that.
type noTest struct{ row string }

func (n noTest) Error() string {
	return "row " + n.row + ": no test shows it: cite one, or say what is owed"
}

// judgeRows joins all that is wrong with the rows.
func judgeRows(rows []row, by map[string]results) error {
	var errs []error
	for _, r := range rows {
		if r.state() == stateNoTest {
			errs = append(errs, noTest{r.id})
		}
		for _, c := range r.by {
			if v, decides := by[c.folder].judge(c.test); v != passed {
				errs = append(errs, judgement{r.id, c, v, decides})
			}
		}
	}
	return errors.Join(errs...)
}
