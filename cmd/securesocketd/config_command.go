package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"securesocket/cmd/securesocketd/internal/config"
)

// errShown ends the program as a mistake of usage does that has been shown already.
var errShown = usageError{errors.New("the configuration is not valid")}

// addConfig gives root the commands about the configuration. They take the flags of the service, and read the same file
// and environment, so that what they say is what would count.
func addConfig(root *cobra.Command, stdout, stderr io.Writer) {
	parent := &cobra.Command{
		Use:   "config",
		Short: "Check, show and explain the configuration",
		Args:  oneOf("config check", "config example", "config show"),
		RunE:  func(*cobra.Command, []string) error { return usagef("config: give one of check, show and example") },
	}
	add := func(use, short, long string, run func(*config.Flags, *cobra.Command) error) *cobra.Command {
		var flags config.Flags
		cmd := &cobra.Command{
			Use: use, Short: short, Long: long,
			Args: func(_ *cobra.Command, args []string) error { return noArguments(args) },
			RunE: func(cmd *cobra.Command, _ []string) error { return run(&flags, cmd) },
		}
		if use != "example" {
			flags.Register(cmd.Flags())
		}
		parent.AddCommand(cmd)
		return cmd
	}
	add("check", "Tell what is wrong with the configuration",
		`check judges the file, the environment and the flags as the service would at its start, then the files and folders
that they name, and changes none of them. Each mistake is a line on stderr that begins with FILE:LINE, $VARIABLE or --flag, and the exit code is then 2.
What the service would start with, and its operator should not overlook, is a line that begins with "warning:".`,
		func(flags *config.Flags, _ *cobra.Command) error { return checkConfig(flags, stdout, stderr) })
	show := add("show", "Show the whole configuration",
		`show prints every setting with the value that counts, as a file that has the same meaning.`,
		func(flags *config.Flags, cmd *cobra.Command) error {
			c, err := loadConfig(flags)
			if err != nil {
				return err
			}
			effective, _ := cmd.Flags().GetBool("effective")
			return c.Show(stdout, effective)
		})
	show.Flags().Bool("effective", false, "Say beside each value where it comes from.")
	add("example", "Print a file with every setting, explained",
		`example prints a file that says what is so without one.`,
		func(*config.Flags, *cobra.Command) error { return config.Example(stdout) })
	root.AddCommand(parent)
}

// loadConfig reads what the operator says. What is wrong with it is a mistake of usage.
func loadConfig(flags *config.Flags) (settings, error) {
	c, err := config.Load(flags, os.Environ())
	if err != nil {
		return settings{}, usageError{err}
	}
	return settings{c}, nil
}

// checkConfig shows all mistakes, also those that are found only in the files that are named.
func checkConfig(flags *config.Flags, stdout, stderr io.Writer) error {
	s, err := loadConfig(flags)
	var warned bytes.Buffer
	if err == nil {
		p := &parts{log: slog.New(warnings{&warned})}
		err = errors.Join(p.judge(s), s.checkStore(), checkSockets(s))
		p.close()
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, err)
		return errShown
	}
	for _, w := range s.Warnings() {
		_, _ = fmt.Fprintln(stderr, "warning: "+w)
	}
	_, _ = warned.WriteTo(stderr)
	_, _ = fmt.Fprintln(stdout, "the configuration is valid")
	return nil
}
