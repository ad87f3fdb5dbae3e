package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// row is a member or a rule of one of the documents, or a threat.
type row struct {
	id      string
	is      string // what it is, in few words
	in      string // where our interface has it
	by      []citation
	owed    string // what of it is not built yet
	na      string // why it means nothing here
	pending string // what is being built
}

// state says how far a row is.
type state string

const (
	stateShown   state = "shown"
	stateInPart  state = "in part" // shown, but for what is owed
	stateOwed    state = "owed"
	stateNA      state = "n/a"
	statePending state = "pending"
	stateNoTest  state = "no test" // an error
)

func (r row) state() state {
	switch {
	case r.na != "":
		return stateNA
	case r.pending != "":
		return statePending
	case r.owed != "" && len(r.by) > 0:
		return stateInPart
	case r.owed != "":
		return stateOwed
	case len(r.by) > 0:
		return stateShown
	default:
		return stateNoTest
	}
}

func withState(rows []row, s state) []row {
	return slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return r.state() != s })
}

// maxIs bounds the text of a row, so that it stays one that is read at a glance.
const maxIs = 100

// parse reads rows.txt or threats.txt, whose lines are a key, a space and a value:
//
//	row A47          begins a row; all that follows is about it
//	is TEXT          what it is, at most 100 characters
//	in TEXT          where our interface has it
//	by CITATION      a test that shows it; as many lines as there are tests
//	owed TEXT        what of it is not built yet
//	n/a TEXT         why it means nothing here; then there is no test
//	pending TEXT     what is being built; the tests that are cited show a part of it
//
// Empty lines and those that begin with # are left out. Every row of sections must be there, once and in that order.
func parse(from io.Reader, sections []section) ([]row, error) {
	var rows []row
	var errs []error
	number := 0
	for lines := bufio.NewScanner(from); lines.Scan(); {
		number++
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, _ := strings.Cut(line, " ")
		if key == "row" {
			rows = append(rows, row{id: value})
			continue
		}
		if len(rows) == 0 {
			return nil, fmt.Errorf("line %d: %q comes before the first row", number, key)
		}
		if err := rows[len(rows)-1].set(key, strings.TrimSpace(value)); err != nil {
			errs = append(errs, fmt.Errorf("line %d: row %s: %w", number, rows[len(rows)-1].id, err))
		}
	}
	for _, r := range rows {
		errs = append(errs, r.check())
	}
	errs = append(errs, checkIDs(rows, sections))
	return rows, errors.Join(errs...)
}

var (
	errUnknownKey = errors.New("unknown key")
	errTwice      = errors.New("is there twice")
	errNoValue    = errors.New("has no value")
	errTooLong    = errors.New("is too long")
	errBoth       = errors.New("excludes the others")
	errUnknownRow = errors.New("no such row in the documents")
	errMissing    = errors.New("is missing")
	errOrder      = errors.New("is not where it belongs")
)

func (r *row) set(key, value string) error {
	if value == "" {
		return fmt.Errorf("%s: %w", key, errNoValue)
	}
	if key == "by" {
		c, err := parseCitation(value)
		if err == nil && slices.Contains(r.by, c) {
			err = fmt.Errorf("%s: %w", c, errTwice)
		}
		r.by = append(r.by, c)
		return err
	}
	field, known := map[string]*string{"is": &r.is, "in": &r.in, "owed": &r.owed, "n/a": &r.na, "pending": &r.pending}[key]
	if !known {
		return fmt.Errorf("%s: %w", key, errUnknownKey)
	}
	if *field != "" {
		return fmt.Errorf("%s: %w", key, errTwice)
	}
	*field = value
	return nil
}

// check sees that a row has what every row has, and nothing that contradicts the rest.
func (r row) check() error {
	switch {
	case r.is == "":
		return fmt.Errorf("row %s: is: %w", r.id, errNoValue)
	case len([]rune(r.is)) > maxIs:
		return fmt.Errorf("row %s: is: %w", r.id, errTooLong)
	case r.na != "" && (len(r.by) > 0 || r.owed != "" || r.pending != ""):
		return fmt.Errorf("row %s: n/a: %w", r.id, errBoth)
	case r.pending != "" && r.owed != "":
		return fmt.Errorf("row %s: pending: %w", r.id, errBoth)
	case r.na == "" && r.in == "":
		return fmt.Errorf("row %s: in: %w", r.id, errNoValue)
	}
	return nil
}

// checkIDs compares the rows with those that the documents have.
func checkIDs(rows []row, sections []section) error {
	var want, got []string
	for _, s := range sections {
		want = append(want, s.ids...)
	}
	var errs []error
	for _, r := range rows {
		switch {
		case !slices.Contains(want, r.id):
			errs = append(errs, fmt.Errorf("row %s: %w", r.id, errUnknownRow))
		case slices.Contains(got, r.id):
			errs = append(errs, fmt.Errorf("row %s: %w", r.id, errTwice))
		}
		got = append(got, r.id)
	}
	for _, id := range want {
		if !slices.Contains(got, id) {
			errs = append(errs, fmt.Errorf("row %s: %w", id, errMissing))
		}
	}
	if errs == nil {
		for i, id := range want {
			if got[i] != id {
				return fmt.Errorf("row %s: %w", got[i], errOrder)
			}
		}
	}
	return errors.Join(errs...)
}

// cited are the tests that the rows name, each once and in order.
func cited(rows []row) []citation {
	var all []citation
	for _, r := range rows {
		all = append(all, r.by...)
	}
	slices.SortFunc(all, compareCitations)
	return slices.Compact(all)
}
