package config

import (
	"io"
	"strings"
)

const exampleHead = `The configuration of securesocketd, as it is without one: securesocketd --config FILE

Every key is here. What begins with a # and no space is a setting that says nothing by default, or whose default
depends on the machine; the value is an example. An unknown key, a number without its unit and a limit of 0 are
refused, with their line. Paths that are not absolute begin at the folder in which the service was started.

Each key has a flag and a variable of the environment. A flag is above a variable, and that above this file; lists and
mappings are not merged: the one above takes the place of the other. Lists in a variable have commas between.`

// exampleWidth is how wide the comments are.
const exampleWidth = 100

// Example writes a file with every setting, its help and its default.
func Example(w io.Writer) error {
	// The defaults of no machine in particular.
	c := &Config{origins: make(map[string]Origin)}
	var errs Errors
	for _, s := range settings {
		if s.machine == nil && s.kind.shape == scalar {
			defaults(s, nil).set(c, &errs)
		}
	}
	if err := errs.err(); err != nil {
		return err
	}
	var p page
	for paragraph := range strings.Lines(exampleHead) {
		p.line(strings.TrimRight("# "+paragraph, " \n"))
	}
	for _, s := range settings {
		p.WriteByte('\n')
		p.open(s.section())
		help := s.help
		if s.max > 0 {
			help += " F" + s.bounds()[1:] + "."
		}
		p.comment(help)
		p.line("# --" + s.flagName() + ", $" + s.variable())
		if s.sample == "" {
			p.value(s, nil, s.print(c), "", "")
			continue
		}
		items, m := fromFlag(s, []string{s.sample})
		if m != nil {
			return m
		}
		p.value(s, items, quote(s.sample), "", "#")
	}
	_, err := io.WriteString(w, p.String())
	return err
}

// comment writes text in lines of comments.
func (p *page) comment(text string) {
	line := "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > exampleWidth-2*len(p.sections) && line != "#" {
			p.line(line)
			line = "#"
		}
		line += " " + word
	}
	p.line(line)
}
