package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
)

// document is a file with a table that rows make.
type document struct {
	file     string // seen from the top of the module
	text     *[]byte
	sections []section
	make     func(old []byte, rows []row) ([]byte, error)
}

var documents = []document{
	{"docs/coverage.md", &rowsText, sections, func(_ []byte, rows []row) ([]byte, error) { return render(rows), nil }},
	{"docs/security.md", &threatsText, threatSections, threatsInto},
}

// update writes the file anew, or with check fails if that would change it.
func (d document) update(rows []row, check bool) error {
	old, err := os.ReadFile(d.file)
	if err != nil && (check || !errors.Is(err, os.ErrNotExist)) {
		return err
	}
	text, err := d.make(old, rows)
	if err != nil {
		return fmt.Errorf("%s: %w", d.file, err)
	}
	if !check {
		return os.WriteFile(d.file, text, 0o644)
	}
	if !bytes.Equal(old, text) {
		return fmt.Errorf("%s is stale: run make coverage, and commit it", d.file)
	}
	return nil
}

// The table of threats stands between these lines.
var (
	threatsBegin = []byte("<!-- threats: written by make coverage -->\n")
	threatsEnd   = []byte("<!-- end of threats -->\n")
)

var errNoMarks = errors.New("the lines between which the table stands are not there, once each and in order")

// threatsInto puts the table of threats into its document.
func threatsInto(old []byte, rows []row) ([]byte, error) {
	before, rest, found := bytes.Cut(old, threatsBegin)
	_, after, ended := bytes.Cut(rest, threatsEnd)
	if !found || !ended || bytes.Contains(after, threatsBegin) || bytes.Contains(after, threatsEnd) {
		return nil, errNoMarks
	}
	return bytes.Join([][]byte{before, threatsBegin, renderThreats(rows), threatsEnd, after}, nil), nil
}
