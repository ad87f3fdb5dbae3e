// Command securesocketd is the service: secure socket sessions over gRPC.
//
// Without flags it serves on a Unix socket that only its own user can use. What
// else it does is said by flags, SECURESOCKET_ variables and a file: see package
// config, and securesocketd config example. It prints a line "ready ADDRESS" on
// stdout for every address that it serves, logs to stderr, and drains on SIGTERM
// and SIGINT; a second signal ends it at once.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"securesocket/cmd/internal/hardening"
	"securesocket/cmd/securesocketd/internal/config"
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
	if err := hardening.Apply(); err != nil { // before there is anything to keep
		_, _ = fmt.Fprintf(os.Stderr, "securesocketd: %v\n", err)
		os.Exit(exitError)
	}
	// A reader of stdout or stderr that goes away must not take the sessions with
	// it.
	signal.Ignore(syscall.SIGPIPE)
	// Nor may a file that reaches the limit of its size: to write it fails.
	signal.Ignore(syscall.SIGXFSZ)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr, signals))
}

// usageError is a mistake in the flags, the environment or the configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// run is the whole program: it ends when the service has stopped.
func run(args []string, stdout, stderr io.Writer, signals <-chan os.Signal) int {
	var flags config.Flags
	cmd := &cobra.Command{
		Use:           "securesocketd",
		Short:         "Secure socket sessions as a gRPC service",
		Version:       version,
		Args:          oneOf("config", "gallery", "token"),
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(*cobra.Command, []string) error {
			s, err := loadConfig(&flags)
			if err != nil {
				return err
			}
			return serve(s, stdout, stderr, signals)
		},
	}
	flags.Register(cmd.Flags())
	addGallery(cmd, stdout, signals)
	addConfig(cmd, stdout, stderr)
	addToken(cmd, stdout, stderr)
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	err := cmd.Execute()
	if err == nil {
		return exitOK
	}
	if errors.Is(err, errShown) {
		return exitUsage
	}
	for line := range strings.Lines(err.Error()) {
		_, _ = fmt.Fprintf(stderr, "securesocketd: %s\n", strings.TrimSuffix(line, "\n"))
	}
	if ue := new(usageError); errors.As(err, ue) {
		_, _ = fmt.Fprintln(stderr, "securesocketd --help lists the flags, securesocketd config example the keys of the file")
		return exitUsage
	}
	return exitError
}

// oneOf refuses the arguments of a command that has commands, by whose names they are not.
func oneOf(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usagef("there is no command %q: there is %s, and there are flags", args[0], strings.Join(names, ", "))
		}
		return nil
	}
}

func noArguments(args []string) error {
	if len(args) > 0 {
		return usagef("unexpected argument %q: there are only flags", args[0])
	}
	return nil
}
