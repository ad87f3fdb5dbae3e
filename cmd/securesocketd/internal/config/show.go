package config

import (
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Show writes the whole configuration as a file that has the same meaning; with effective, each value with its origin
// in a comment. A list that is absent is a comment too, and so is a text that nobody has said. There are no secrets in it, only the names of their files.
func (c *Config) Show(w io.Writer, effective bool) error {
	var p page
	for _, s := range settings {
		p.open(s.section())
		comment := ""
		if effective {
			comment = " # " + c.origins[s.path].String()
		}
		if s.unset(c) {
			p.line("#" + s.key() + ": not set" + comment)
			continue
		}
		p.value(s, itemsOf(s.into(c)), s.print(c), comment, "")
	}
	_, err := io.WriteString(w, p.String())
	return err
}

// unset tells whether there is nothing that a file could say.
func (s *setting) unset(c *Config) bool {
	switch field := s.into(c).(type) {
	case *[]string:
		return *field == nil
	case *string:
		return *field == "" && c.origins[s.path].Layer == Default
	}
	return false
}

// number is the value of a setting that is one.
func (s *setting) number(c *Config) int64 {
	switch field := s.into(c).(type) {
	case *int:
		return int64(*field)
	case *int64:
		return *field
	case *time.Duration:
		return int64(*field)
	}
	return 0
}

// setNumber gives a number another value.
func (s *setting) setNumber(c *Config, n int64) {
	switch field := s.into(c).(type) {
	case *int:
		*field = int(n)
	case *int64:
		*field = n
	}
}

// print is the value of a scalar as YAML has it.
func (s *setting) print(c *Config) string {
	switch field := s.into(c).(type) {
	case *bool:
		return strconv.FormatBool(*field)
	case *string:
		if s.kind == text {
			return quote(*field)
		}
		return *field // one of the words that there are
	case *int, *int64, *time.Duration:
		n := s.number(c)
		if n == 0 && len(s.zero) > 0 {
			return s.zero[0]
		}
		return s.kind.print(n)
	}
	return ""
}

// itemsOf is what a list or a mapping has, in the order of the names.
func itemsOf(field any) (items []item) {
	switch field := field.(type) {
	case *[]string:
		for _, t := range *field {
			items = append(items, item{text: t})
		}
	case *map[string]string:
		for _, name := range slices.Sorted(maps.Keys(*field)) {
			items = append(items, item{name: name, text: (*field)[name]})
		}
	case *map[string]KeyPair:
		for _, name := range slices.Sorted(maps.Keys(*field)) {
			items = append(items, item{name: name, text: (*field)[name].Cert, key: (*field)[name].Key})
		}
	}
	return items
}

// quote writes a text as YAML's double-quoted scalar (YAML 1.2 section 7.3.1), whose escapes are those of Go for
// everything that [parseText] lets through.
func quote(t string) string { return strconv.Quote(t) }

// page is YAML that is being written, with the sections that are open.
type page struct {
	strings.Builder
	sections []string
}

// open writes the heads of the sections that path needs and that are not open yet.
func (p *page) open(path string) {
	var want []string
	if path != "" {
		want = strings.Split(path, ".")
	}
	same := 0
	for same < len(want) && same < len(p.sections) && want[same] == p.sections[same] {
		same++
	}
	p.sections = p.sections[:same]
	for _, name := range want[same:] {
		p.line(name + ":")
		p.sections = append(p.sections, name)
	}
}

// line writes one line, indented as its section is.
func (p *page) line(text string) {
	p.WriteString(strings.Repeat("  ", len(p.sections)) + text + "\n")
}

// value writes the key of a setting and its value. before is put before each line: a # makes it a comment.
func (p *page) value(s *setting, items []item, printed, comment, before string) {
	head := before + s.key() + ":"
	switch {
	case s.kind.shape == scalar:
		p.line(head + " " + printed + comment)
		return
	case len(items) == 0 && s.kind.shape == list:
		p.line(head + " []" + comment)
	case len(items) == 0:
		p.line(head + " {}" + comment)
	default:
		p.line(head + comment)
	}
	for _, it := range items {
		switch s.kind.shape {
		case list:
			p.line(before + "  - " + quote(it.text))
		case files:
			p.line(before + "  " + quote(it.name) + ": " + quote(it.text))
		default:
			p.line(before + "  " + quote(it.name) + ": {cert: " + quote(it.text) + ", key: " + quote(it.key) + "}")
		}
	}
}
