package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"
)

// runTests runs the tests of the module in a folder, one package after the other, and returns the outcomes by package.
// What is printed by tests that do not pass goes to log. An error is one of running them; a test that fails is none.
func runTests(ctx context.Context, top string, tests []citation, log io.Writer) (map[string]results, error) {
	byFolder := make(map[string][]string)
	for _, c := range tests {
		if !slices.Contains(byFolder[c.folder], c.top()) {
			byFolder[c.folder] = append(byFolder[c.folder], c.top())
		}
	}
	all := make(map[string]results)
	for _, folder := range slices.Sorted(maps.Keys(byFolder)) {
		began := time.Now()
		r, err := runPackage(ctx, top, folder, byFolder[folder])
		if err != nil {
			return nil, err
		}
		all[folder] = r
		_, _ = fmt.Fprintf(log, "coverage: %s: %d tests, %.0f s\n", packageName(folder), len(byFolder[folder]), time.Since(began).Seconds())
		for _, path := range slices.Sorted(maps.Keys(r.outcomes)) {
			if b := r.printed[path]; b != nil && r.outcomes[path] != "pass" {
				_, _ = io.WriteString(log, b.String())
			}
		}
	}
	return all, nil
}

// runPackage runs tests of one package by their names, all their subtests included: who cites one subtest relies on
// what the test around it sets up and tears down.
func runPackage(ctx context.Context, top, folder string, names []string) (results, error) {
	for i, name := range names {
		names[i] = regexp.QuoteMeta(name)
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-json", "-count=1", "-run", "^("+strings.Join(names, "|")+")$", "./"+folder)
	cmd.Dir = top
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return results{}, err
	}
	if err := cmd.Start(); err != nil {
		return results{}, err
	}
	r, readErr := readEvents(out)
	if readErr != nil {
		_ = cmd.Process.Kill() // nobody reads what it says
	}
	err = cmd.Wait()
	if ctx.Err() != nil {
		return r, ctx.Err()
	}
	if _, exited := errors.AsType[*exec.ExitError](err); exited {
		err = nil
		if r.outcomes[""] == "" {
			r.outcomes[""] = "fail" // it ended without a word
		}
	}
	return r, errors.Join(readErr, err)
}
