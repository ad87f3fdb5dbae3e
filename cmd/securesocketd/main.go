// Command securesocketd is the service: secure socket sessions over gRPC.
//
// Without flags it serves on a Unix socket that only its own user can use. It
// prints a line "ready ADDRESS" on stdout for every address that it serves,
// logs to stderr, and drains on SIGTERM and SIGINT; a second signal ends it at
// once.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the linker.
var version = "dev"

// The exit codes.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

func main() {
	// A reader of stdout or stderr that goes away must not take the sessions with
	// it.
	signal.Ignore(syscall.SIGPIPE)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr, signals))
}

// usageError is a mistake in the flags.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// run is the whole program: it ends when the service has stopped.
func run(args []string, stdout, stderr io.Writer, signals <-chan os.Signal) int {
	var f flags
	cmd := &cobra.Command{
		Use:           "securesocketd",
		Short:         "Secure socket sessions as a gRPC service",
		Version:       version,
		Args:          func(_ *cobra.Command, args []string) error { return noArguments(args) },
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(*cobra.Command, []string) error { return serve(f, stdout, stderr, signals) },
	}
	f.register(cmd.Flags())
	addGallery(cmd, stdout, signals)
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	err := cmd.Execute()
	if err == nil {
		return exitOK
	}
	_, _ = fmt.Fprintf(stderr, "securesocketd: %v\n", err)
	if ue := new(usageError); errors.As(err, ue) {
		_, _ = fmt.Fprintln(stderr, "securesocketd --help lists the flags")
		return exitUsage
	}
	return exitError
}

func noArguments(args []string) error {
	if len(args) > 0 {
		return usagef("unexpected argument %q: there are only flags", args[0])
	}
	return nil
}
