package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"securesocket/cmd/securesocket/internal/picture"
	"securesocket/cmd/securesocket/internal/terminal"
)

// drawingFlags say how a diagnosis is shown.
type drawingFlags struct {
	output outputFlag
	color  string
	svg    string

	asJSON bool // by check
}

func (f *drawingFlags) register(cmd *cobra.Command) {
	f.output.register(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.color, "color", "auto", "`WHEN` to use colours: auto (on a terminal, unless NO_COLOR is set), always or never")
	flags.StringVar(&f.svg, "svg", "", "draw the chain and the times into `FILE` too, as SVG; - is stdout, instead of the text")
}

// check is for before anything is done: a mistake must not cost a connection.
func (f *drawingFlags) check() (err error) {
	if f.asJSON, err = f.output.json(); err != nil {
		return err
	}
	switch f.color {
	case "auto", "always", "never":
	default:
		return usagef("--color: %q is none of auto, always, never", f.color)
	}
	if f.svg == "-" && f.asJSON {
		return usagef("--svg - and -o json both want stdout; name a file for one of them")
	}
	return nil
}

// show writes d to stdout as the flags say, as JSON in the form of message, and the picture to its file. It returns
// d.Err if there is one: that says more than a file that cannot be written.
func (p *program) show(f *drawingFlags, d *picture.Diagnosis, message proto.Message) error {
	var content []byte
	var err error
	switch {
	case f.svg == "-":
		content = d.SVG()
	case f.asJSON:
		content, err = toJSON(message)
	default:
		out := terminal.Text{Unicode: terminal.TakesUnicode(os.Getenv), Colour: f.color == "always"}
		if f.color == "auto" {
			out.Colour = terminal.TakesColour(p.stdout, os.Getenv)
		}
		d.Text(&out)
		content = out.Bytes()
	}
	if err == nil {
		err = p.print(content)
	}
	if f.svg != "" && f.svg != "-" {
		// For everybody to read, as pictures are; there is nothing secret in a chain.
		if failed := os.WriteFile(f.svg, d.SVG(), 0o644); failed != nil { //nolint:gosec // a picture to be shown around
			failed = fmt.Errorf("--svg %q cannot be written: %w", f.svg, withoutPath(failed))
			if d.Err != nil {
				p.warn("%v", failed)
			} else if err == nil {
				err = failed
			}
		}
	}
	if d.Err != nil {
		return d.Err
	}
	return err
}
