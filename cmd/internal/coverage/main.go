// Command coverage shows, by tests that it runs, what the service has of two lists: the members and rules of the two
// documents behind it, which are the SecureSocket class of Adobe AIR and the QSslSocket class of Qt 4.3, and the threats
// that it has to withstand. It writes docs/coverage.md, and the table of threats in docs/security.md.
//
// rows.txt and threats.txt have a row for each of them and the tests that show it. The command runs these tests, package
// by package, and fails where one does not exist, fails or is skipped, where a row has neither a test nor a reason why it
// has none, and where a row is missing. It does not judge whether a test asserts what its row says: whoever cites it does.
//
// It is run from the top of the module. What it writes depends on these two files alone, so that two runs write the same.
//
// Errors: it exits with 1 and names every row and test that is wrong, on the standard error stream; nothing is written
// then.
package main

import (
	"bytes"
	"context"
	_ "embed"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

//go:embed rows.txt
var rowsText []byte

//go:embed threats.txt
var threatsText []byte

func main() {
	check := flag.Bool("check", false, "write nothing, and fail if a document is not what would be written")
	list := flag.Bool("list", false, "print the rows with their tests, and run nothing")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "coverage: takes no arguments")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *check, *list)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "coverage:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, check, list bool) error {
	var all []row
	of := make(map[string][]row)
	for _, d := range documents {
		rows, err := parse(bytes.NewReader(*d.text), d.sections)
		if err != nil {
			return fmt.Errorf("%s: %w", d.file, err)
		}
		of[d.file] = rows
		all = append(all, rows...)
	}
	if list {
		return printRows(os.Stdout, all)
	}
	results, err := runTests(ctx, ".", cited(all), os.Stderr)
	if err != nil {
		return err
	}
	if err := judgeRows(all, results); err != nil {
		return err
	}
	if pending := withState(all, statePending); len(pending) > 0 {
		fmt.Fprintf(os.Stderr, "coverage: %d rows are pending:\n", len(pending))
		if err := printRows(os.Stderr, pending); err != nil {
			return err
		}
	}
	for _, d := range documents {
		if err := d.update(of[d.file], check); err != nil {
			return err
		}
	}
	return nil
}

// printRows lists rows as one line each, for people.
func printRows(w io.Writer, rows []row) error {
	for _, r := range rows {
		if _, err := fmt.Fprintf(w, "%-5s %-8s %s\n", r.id, r.state(), r.is); err != nil {
			return err
		}
		for _, c := range r.by {
			if _, err := fmt.Fprintf(w, "%15s%s\n", "", c); err != nil {
				return err
			}
		}
	}
	return nil
}
