package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"go.yaml.in/yaml/v3"
)

// maxFileBytes bounds the file, so that a wrong path (a device, a log) is told apart at once.
const maxFileBytes = 1 << 20

// readFile reads at most what a file may have.
func readFile(name string) ([]byte, *mistake) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) //nolint:gosec // the operator's own file
	if err != nil {
		return nil, mistakef(Unreadable, "%v: name a file that the service can read", err)
	}
	defer f.Close()
	// Nobody waits for who would write a pipe.
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, mistakef(Unreadable, "%s: it is not a regular file: name a file that the service can read", name)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, mistakef(Unreadable, "%v: name a file that the service can read", err)
	}
	if len(data) > maxFileBytes {
		return nil, mistakef(Unreadable, "%s has more than %d bytes: it cannot be a configuration", name, maxFileBytes)
	}
	return data, nil
}

// document is a file that is being read.
type document struct {
	name  string
	given []*given
	errs  *Errors
}

// readDocument says what a file gives. Mistakes go to errs; what has none is given nevertheless, so that it is judged
// too.
func readDocument(name string, data []byte, errs *Errors) []*given {
	d := &document{name: name, errs: errs}
	root, line, err := parseYAML(data)
	switch {
	case err != nil && root != nil:
		d.fail(line, "", Unsupported, "%v", err)
	case err != nil:
		d.fail(line, "", Syntax, "%v: mend it there or in the line before", err)
	case root != nil && len(root.Content) > 0:
		d.section("", root.Content[0])
	}
	return d.given
}

var errSecondDocument = errors.New("a second document begins here: remove it, with the line --- before it")

// parseYAML reads the one document. With an error it returns its line, and a document only if there is more after it.
func parseYAML(data []byte) (root *yaml.Node, line int, err error) {
	defer func() {
		// The parser keeps comments, and panics about some that stand where it expects none.
		if r := recover(); r != nil {
			root, line, err = nil, 1, fmt.Errorf("it is no YAML that can be read: %v", r)
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	root = new(yaml.Node)
	if err := decoder.Decode(root); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, 0, nil // an empty file: all is as it is without
		}
		line, why := place(data, err)
		return nil, line, why
	}
	var second yaml.Node
	if err := decoder.Decode(&second); err == nil {
		return root, max(second.Line, 1), errSecondDocument
	} else if !errors.Is(err, io.EOF) {
		line, why := place(data, err)
		return nil, line, why
	}
	return root, 0, nil
}

var (
	yamlLine  = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)
	yamlAlias = regexp.MustCompile(`^unknown anchor '([^']*)' referenced`)
)

// place takes the line out of an error of the parser, or finds it.
func place(data []byte, err error) (int, error) {
	text, line := err.Error(), 1
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		text = text[len(m[0]):]
		line, _ = strconv.Atoi(m[1])
	}
	if m := yamlAlias.FindStringSubmatch(text); m != nil {
		if before, _, ok := bytes.Cut(data, []byte("*"+m[1])); ok {
			line = bytes.Count(before, []byte("\n")) + 1
		}
		text = "aliases (*" + m[1] + ") are not known here; write the value itself, in quotes if it begins with *"
	}
	return max(line, 1), errors.New(text)
}

func (d *document) fail(line int, path string, p Problem, format string, args ...any) {
	d.errs.add(d.origin(line), path, p, format, args...)
}

func (d *document) origin(line int) Origin { return Origin{Layer: File, Name: d.name, Line: line} }

// plain refuses what makes YAML mean more than it shows, and tells whether n may be read on.
func (d *document) plain(path string, n *yaml.Node) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		d.fail(n.Line, path, Unsupported, "aliases (*%s) are not known here: write the value itself, in quotes if it begins with *", n.Value)
	case n.Anchor != "":
		d.fail(n.Line, path, Unsupported, "anchors (&%s) are not known here: remove it, or put the value in quotes if it begins with &", n.Anchor)
	case n.Style&yaml.TaggedStyle != 0:
		d.fail(n.Line, path, Unsupported, "tags (%q) are not known here: remove it, or put the value in quotes if it begins with !", n.Tag)
	default:
		return true
	}
	return false
}

// entries calls each for every key of a mapping that is there once and is a plain text.
func (d *document) entries(path string, n *yaml.Node, each func(key string, keyNode, value *yaml.Node)) {
	first := make(map[string]int)
	for pair := range slices.Chunk(n.Content, 2) {
		key, value := pair[0], pair[1]
		switch {
		case !d.plain(path, key):
		case key.Kind != yaml.ScalarNode:
			d.fail(key.Line, path, WrongType, "a key has to be a text")
		case first[key.Value] > 0:
			d.fail(key.Line, path, Duplicate, "the key %q is in line %d already: remove one", key.Value, first[key.Value])
		default:
			first[key.Value] = key.Line
			each(key.Value, key, value)
		}
	}
}

func join(section, key string) string { return strings.TrimPrefix(section+"."+key, ".") }

// isNothing tells whether a key has no value.
func isNothing(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// section reads the keys below path. One without any, as its keys are all comments, is well.
func (d *document) section(path string, n *yaml.Node) {
	if !d.plain(path, n) || isNothing(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.fail(n.Line, path, WrongType, "expected keys, each with a colon and its value, and below a section indented")
		return
	}
	d.entries(path, n, func(name string, key, value *yaml.Node) {
		at := join(path, name)
		if s := settingAt(at); s != nil && !strings.Contains(name, ".") {
			d.setting(s, key, value)
			return
		}
		if slices.ContainsFunc(settings, func(s *setting) bool { return strings.HasPrefix(s.path, at+".") }) && !strings.Contains(name, ".") {
			d.section(at, value)
			return
		}
		if s := settingAt(at); s != nil {
			d.fail(key.Line, path, Unknown, "there is no key %q with dots in it: write the key %q below the section %q", name, s.key(), s.section())
			return
		}
		d.fail(key.Line, path, Unknown, "there is no key %q: %s", name, mend(at))
	})
}

// setting reads the value of one.
func (d *document) setting(s *setting, key, value *yaml.Node) {
	g := &given{setting: s, origin: d.origin(key.Line)}
	before := len(*d.errs)
	switch {
	case !d.plain(s.path, value):
	case isNothing(value):
		d.fail(value.Line, s.path, WrongType, "it has no value: write %s, or remove the key", s.kind.noun)
	case s.kind.shape == scalar:
		g.items = append(g.items, d.scalar(s, s.kind, value))
	case s.kind.shape == list && value.Kind == yaml.SequenceNode:
		for _, n := range value.Content {
			if d.plain(s.path, n) {
				g.items = append(g.items, d.scalar(s, text, n))
			}
		}
	case s.kind.shape >= files && value.Kind == yaml.MappingNode:
		d.entries(s.path, value, func(name string, key, value *yaml.Node) {
			it := item{name: name, line: key.Line}
			if s.kind.shape == pairs {
				it.text, it.key = d.pair(s, value)
			} else if d.plain(s.path, value) {
				it.text = d.scalar(s, text, value).text
			}
			g.items = append(g.items, it)
		})
	default:
		d.fail(value.Line, s.path, WrongType, "expected %s", s.kind.noun)
	}
	if len(*d.errs) == before {
		d.given = append(d.given, g)
	}
}

// scalar reads one that is written as a value of k.
func (d *document) scalar(s *setting, k *kind, n *yaml.Node) item {
	it := item{text: n.Value, line: n.Line}
	switch tag := n.ShortTag(); {
	case n.Kind != yaml.ScalarNode || !slices.Contains(k.tags, tag):
		if n.Kind == yaml.ScalarNode && k == text {
			d.fail(n.Line, s.path, WrongType, "%s is no text as it is written: write %q", n.Value, n.Value)
			break
		}
		d.fail(n.Line, s.path, WrongType, "expected %s", k.noun)
	case k == integer && tag == stringTag && n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		d.fail(n.Line, s.path, WrongType, "%q is a text: remove the quotes", n.Value)
	}
	return it
}

// pair reads {cert: FILE, key: FILE}.
func (d *document) pair(s *setting, n *yaml.Node) (cert, key string) {
	if !d.plain(s.path, n) {
		return "", ""
	}
	if n.Kind != yaml.MappingNode {
		d.fail(n.Line, s.path, WrongType, "expected %s", s.kind.noun)
		return "", ""
	}
	d.entries(s.path, n, func(name string, at, value *yaml.Node) {
		if name != "cert" && name != "key" {
			d.fail(at.Line, s.path, Unknown, "there is no key %q: an identity has cert and key", name)
			return
		}
		if !d.plain(s.path, value) {
			return
		}
		it := d.scalar(s, text, value)
		if name == "cert" {
			cert = it.text
		} else {
			key = it.text
		}
	})
	return cert, key
}
