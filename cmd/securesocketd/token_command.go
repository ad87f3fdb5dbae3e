package main

import (
	"fmt"
	"io"
	"os"
	"regexp"

	"github.com/spf13/cobra"

	"securesocket/server/callers"
)

// tokenName is the names that a file of tokens may have.
var tokenName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// addToken gives root the command that makes tokens.
func addToken(root *cobra.Command, stdout, stderr io.Writer) {
	parent := &cobra.Command{
		Use:   "token",
		Short: "Make static tokens for callers",
		Args:  oneOf("token new NAME"),
		RunE:  func(*cobra.Command, []string) error { return usagef("token: give new") },
	}
	var file string
	add := &cobra.Command{
		Use:   "new NAME",
		Short: "Make a token for the principal token:NAME",
		Long: `new prints a fresh token on stdout, for the caller alone, and on stderr its line for the file that callers.tokens
names, which holds no more than a hash of it. With --file it adds the line itself. A name may have several tokens, so
that one can be replaced while callers move to the next.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("token new: give one NAME")
			}
			if !tokenName.MatchString(args[0]) {
				return usagef("token new: %q is not 1 to 64 letters, digits, dots, hyphens and underscores, the first a letter or digit", args[0])
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return newToken(args[0], file, stdout, stderr) },
	}
	add.Flags().StringVar(&file, "file", "", "add the line to `FILE`, which is made if it is not there")
	parent.AddCommand(add)
	root.AddCommand(parent)
}

// newToken prints a token only when its line is where it belongs.
func newToken(name, file string, stdout, stderr io.Writer) error {
	token := callers.NewToken()
	line := fmt.Sprintf("%s %s\n", name, callers.HashToken([]byte(token)))
	if file == "" {
		_, _ = io.WriteString(stderr, line)
	} else if err := appendLine(file, line); err != nil {
		return fmt.Errorf("--file: %w: name a file that you may write, in a folder that is there; no token was made", err)
	}
	_, err := fmt.Fprintln(stdout, token)
	return err
}

// appendLine adds a line to a file in one write, so that whoever reads it meanwhile sees whole lines. One that does not
// end its last line gets that first.
func appendLine(name, line string) error {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600) //nolint:gosec // the operator's own file
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && info.Size() > 0 {
		last := make([]byte, 1)
		if _, err := f.ReadAt(last, info.Size()-1); err == nil && last[0] != '\n' {
			line = "\n" + line
		}
	}
	n, err := io.WriteString(f, line)
	if now, statErr := f.Stat(); err != nil && n > 0 && info != nil && statErr == nil && now.Size() == info.Size()+int64(n) {
		_ = f.Truncate(info.Size()) // half a line, as of a full disk, would make the file useless
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}
