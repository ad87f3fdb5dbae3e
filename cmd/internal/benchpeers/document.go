package benchpeers

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// The lines between which a document has the report; what is around them is written by people.
const (
	beginMark = "<!-- benchmarks: begin -->"
	endMark   = "<!-- benchmarks: end -->"
)

// The files in the folder that WriteDocs is given.
const (
	documentName = "benchmarks.md"
	plotName     = "benchmarks.svg"
)

// CheckDocs reports whether WriteDocs would find what it needs, before anything is measured.
func CheckDocs(dir string) error {
	content, err := os.ReadFile(filepath.Join(dir, documentName))
	if err != nil {
		return err
	}
	_, err = replaceBetween(string(content), "")
	return err
}

// WriteDocs writes the report between the marks of dir/benchmarks.md, with the command that made it, and the plot into
// dir/benchmarks.svg.
func (r *Report) WriteDocs(dir, command string) error {
	path := filepath.Join(dir, documentName)
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	document, err := replaceBetween(string(content), r.markdown(command))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, plotName), r.SVG(), 0o644); err != nil { //nolint:gosec // for everybody to read
		return err
	}
	return os.WriteFile(path, []byte(document), 0o644) //nolint:gosec // for everybody to read
}

// replaceBetween puts text where the marks are.
func replaceBetween(document, text string) (string, error) {
	before, rest, ok := strings.Cut(document, beginMark+"\n")
	_, after, also := strings.Cut(rest, endMark+"\n")
	if !ok || !also {
		return "", errors.New(documentName + " has no lines " + beginMark + " and " + endMark)
	}
	return before + beginMark + "\n" + text + endMark + "\n" + after, nil
}
