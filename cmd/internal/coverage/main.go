// Command coverage shows, by tests that it runs, which members and rules of the two documents behind this service the
// service has: the SecureSocket class of Adobe AIR and the QSslSocket class of Qt 4.3. It writes docs/coverage.md.
//
// rows.txt has a row for each of them and the tests that show it. The command runs these tests, package by package, and
// fails where one does not exist, fails or is skipped, where a row has neither a test nor a reason why it has none, and
// where a row of the documents is missing. It does not judge whether a test asserts what its row says: whoever cites it
// does.
//
// It is run from the top of the module. The document depends on rows.txt alone, so that two runs write the same.
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

// document is where the table is, seen from the top of the module.
const document = "docs/coverage.md"

//go:embed rows.txt
var rowsText []byte

func main() {
	check := flag.Bool("check", false, "write nothing, and fail if "+document+" is not what would be written")
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
	rows, err := parse(bytes.NewReader(rowsText))
	if err != nil {
		return err
	}
	if list {
		return printRows(os.Stdout, rows)
	}
	results, err := runTests(ctx, ".", cited(rows), os.Stderr)
	if err != nil {
		return err
	}
	if err := judgeRows(rows, results); err != nil {
		return err
	}
	if pending := withState(rows, statePending); len(pending) > 0 {
		fmt.Fprintf(os.Stderr, "coverage: %d rows are pending:\n", len(pending))
		if err := printRows(os.Stderr, pending); err != nil {
			return err
		}
	}
	text := render(rows)
	if !check {
		return os.WriteFile(document, text, 0o644)
	}
	old, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	if !bytes.Equal(old, text) {
		return fmt.Errorf("%s is stale: run make coverage, and commit it", document)
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
