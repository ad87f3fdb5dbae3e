package egress

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"securesocket/server/ruletext"
)

// FileError says what is wrong with a policy file, and where.
type FileError struct {
	// File is the name that ParseFile was given.
	File string
	// Line counts from 1.
	Line int
	// Why says what is wrong there.
	Why string
	// Err is the error of a part, or nil.
	Err error
}

func (e *FileError) Error() string {
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Why)
}

// Unwrap returns Err.
func (e *FileError) Unwrap() error { return e.Err }

const maxFile = 1 << 20 // bytes

// maxMistakes is how many are told at once.
const maxMistakes = 50

// document reads nodes of one file strictly: a value means one thing to every
// reader of YAML 1.1 and 1.2, or it is refused. What is wrong is noted, and the rest
// read on.
type document struct {
	name  string
	wrong []*FileError
}

// fail notes what is wrong at n.
func (d *document) fail(n *yaml.Node, why string, err error) {
	d.wrong = append(d.wrong, &FileError{File: d.name, Line: max(n.Line, 1), Why: why, Err: err})
}

// err joins what is wrong, in the order of the lines; nil: nothing is.
func (d *document) err() error {
	slices.SortStableFunc(d.wrong, func(a, b *FileError) int { return cmp.Compare(a.Line, b.Line) })
	if more := len(d.wrong) - maxMistakes; more > 0 {
		d.wrong[maxMistakes] = &FileError{File: d.name, Line: d.wrong[maxMistakes].Line, Why: fmt.Sprintf("%d more mistakes begin here", more)}
		d.wrong = d.wrong[:maxMistakes+1]
	}
	errs := make([]error, len(d.wrong))
	for i, e := range d.wrong {
		errs[i] = e
	}
	return errors.Join(errs...)
}

var (
	yamlLine   = regexp.MustCompile(`line (\d+): (.*)`)
	yamlAnchor = regexp.MustCompile(`unknown anchor '(.*)' referenced`)
)

// root returns the mapping that is the one document in data; nil: there is none that
// can be read.
func (d *document) root(data []byte) *yaml.Node {
	top := &yaml.Node{Line: 1}
	if len(data) > maxFile {
		d.fail(top, fmt.Sprintf("the file is longer than %d bytes", maxFile), nil)
		return nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var node, second yaml.Node
	switch err := decoder.Decode(&node); {
	case errors.Is(err, io.EOF):
		// A file that is being written is empty for a moment, and would drop every rule.
		d.fail(top, "the file is empty; write {} for a policy without rules", nil)
		return nil
	case err != nil:
		d.syntax(data, err)
		return nil
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		d.fail(&second, "the file has several documents", nil)
	case !errors.Is(err, io.EOF):
		d.syntax(data, err)
		return nil
	}
	if node.Kind != yaml.DocumentNode || len(node.Content) != 1 {
		d.fail(top, "the file is no YAML document", nil)
		return nil
	}
	root := node.Content[0]
	if !d.vet(root) {
		return nil
	}
	return root
}

// syntax finds the line in an error of the parser, which has it in its text or not
// at all.
func (d *document) syntax(data []byte, err error) {
	if m := yamlAnchor.FindStringSubmatch(err.Error()); m != nil {
		line := 1
		if before, _, ok := bytes.Cut(data, []byte("*"+m[1])); ok {
			line += bytes.Count(before, []byte("\n"))
		}
		d.fail(&yaml.Node{Line: line}, "a value that begins with * needs quotes", err)
		return
	}
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ := strconv.Atoi(m[1])
		why := "it is not YAML: " + ruletext.Quote(m[2])
		if strings.Contains(m[2], "expected alphabetic") { // the name after * or &
			why += "; a value that begins with * needs quotes"
		}
		d.fail(&yaml.Node{Line: line}, why, err)
		return
	}
	d.fail(&yaml.Node{}, "it is not YAML: "+ruletext.Quote(err.Error()), err)
}

// vet refuses what makes a file mean more than it shows. The parser bounds the
// depth.
func (d *document) vet(n *yaml.Node) bool {
	switch {
	case n.Kind == yaml.AliasNode, n.Anchor != "":
		d.fail(n, "anchors and aliases (& and *) are not accepted; a value that begins with * needs quotes", nil)
		return false
	case n.Style&yaml.TaggedStyle != 0:
		d.fail(n, "tags (!) are not accepted", nil)
		return false
	}
	well := true
	for _, c := range n.Content {
		well = d.vet(c) && well
	}
	return well
}

// mapping returns the values by key, of which only those in known may be there,
// each once. It is not well where another key is there, or n is no mapping.
func (d *document) mapping(n *yaml.Node, what string, known ...string) (values map[string]*yaml.Node, well bool) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, what+" is not a mapping (key: value)", nil)
		return nil, false
	}
	values, well = map[string]*yaml.Node{}, true
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		switch {
		case key.Kind != yaml.ScalarNode || !slices.Contains(known, key.Value):
			d.fail(key, fmt.Sprintf("%s has no key %s; it has %s", what, ruletext.Quote(key.Value), strings.Join(known, ", ")), nil)
			well = false
		case values[key.Value] != nil:
			d.fail(key, fmt.Sprintf("the key %s is there twice", key.Value), nil)
		default:
			values[key.Value] = n.Content[i+1]
		}
	}
	return values, well
}

// sequence returns the elements of a list.
func (d *document) sequence(n *yaml.Node, what string) (_ []*yaml.Node, ok bool) {
	switch {
	case isNull(n):
		d.fail(n, what+" is null, which could mean nothing or everything; write [] for an empty list, or leave the key out", nil)
	case n.Kind != yaml.SequenceNode:
		d.fail(n, what+" is not a list", nil)
	default:
		return n.Content, true
	}
	return nil, false
}

// oneOrMany returns the elements of a list that is not empty, or what stands in
// the place of one with a single element; none, and what is wrong is noted.
func (d *document) oneOrMany(n *yaml.Node, what string) []*yaml.Node {
	if n.Kind == yaml.ScalarNode && !isNull(n) {
		return []*yaml.Node{n}
	}
	list, ok := d.sequence(n, what)
	if ok && len(list) == 0 {
		d.fail(n, what+" is empty, which could mean nothing or everything", nil)
	}
	return list
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// sexagesimal is what YAML 1.1 takes for a number to the base of 60.
var sexagesimal = regexp.MustCompile(`^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$`)

// text returns a string, which needs quotes where a reader of YAML may take it for
// something else: NO for false, 1:30 for 90.
func (d *document) text(n *yaml.Node, what string) (_ string, ok bool) {
	if n.Kind != yaml.ScalarNode {
		d.fail(n, what+" is not a text", nil)
		return "", false
	}
	if isNull(n) {
		d.fail(n, what+" is null; give a text, or leave the key out", nil)
		return "", false
	}
	if n.Style == 0 {
		ambiguous := n.ShortTag() != "!!str" || sexagesimal.MatchString(n.Value)
		switch strings.ToLower(n.Value) {
		case "y", "n", "yes", "no", "on", "off", "true", "false", "null", "~":
			ambiguous = true
		}
		if ambiguous {
			d.fail(n, fmt.Sprintf("%s is a text; put %s in quotes", what, ruletext.Quote(n.Value)), nil)
			return "", false
		}
	}
	return n.Value, true
}

// ports returns PORT, as a number or a text, or FIRST-LAST.
func (d *document) ports(n *yaml.Node, what string) (_ ruletext.Ports, ok bool) {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" && n.ShortTag() != "!!str" {
		d.fail(n, what+" is neither a port nor FIRST-LAST", nil)
		return ruletext.Ports{}, false
	}
	r, err := ruletext.ParsePorts(n.Value)
	if err != nil {
		d.fail(n, fmt.Sprintf("%s: %s is neither a port from 1 to 65535 nor FIRST-LAST", what, ruletext.Quote(n.Value)), err)
		return ruletext.Ports{}, false
	}
	return r, true
}
