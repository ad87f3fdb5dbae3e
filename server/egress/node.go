package egress

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
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

// document reads nodes of one file strictly: a value means one thing to every
// reader of YAML 1.1 and 1.2, or it is refused.
type document struct{ name string }

func (d document) fail(n *yaml.Node, why string, err error) error {
	return &FileError{File: d.name, Line: max(n.Line, 1), Why: why, Err: err}
}

var (
	yamlLine   = regexp.MustCompile(`line (\d+): (.*)`)
	yamlAnchor = regexp.MustCompile(`unknown anchor '(.*)' referenced`)
)

// root returns the mapping that is the one document in data.
func (d document) root(data []byte) (*yaml.Node, error) {
	top := &yaml.Node{Line: 1}
	if len(data) > maxFile {
		return nil, d.fail(top, fmt.Sprintf("the file is longer than %d bytes", maxFile), nil)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var node, second yaml.Node
	switch err := decoder.Decode(&node); {
	case errors.Is(err, io.EOF):
		// A file that is being written is empty for a moment, and would drop every rule.
		return nil, d.fail(top, "the file is empty; write {} for a policy without rules", nil)
	case err != nil:
		return nil, d.syntax(data, err)
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		return nil, d.fail(&second, "the file has several documents", nil)
	case !errors.Is(err, io.EOF):
		return nil, d.syntax(data, err)
	}
	if node.Kind != yaml.DocumentNode || len(node.Content) != 1 {
		return nil, d.fail(top, "the file is no YAML document", nil)
	}
	root := node.Content[0]
	return root, d.vet(root)
}

// syntax finds the line in an error of the parser, which has it in its text or not
// at all.
func (d document) syntax(data []byte, err error) error {
	if m := yamlAnchor.FindStringSubmatch(err.Error()); m != nil {
		line := 1
		if before, _, ok := bytes.Cut(data, []byte("*"+m[1])); ok {
			line += bytes.Count(before, []byte("\n"))
		}
		return d.fail(&yaml.Node{Line: line}, "a value that begins with * needs quotes", err)
	}
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ := strconv.Atoi(m[1])
		why := "it is not YAML: " + ruletext.Quote(m[2])
		if strings.Contains(m[2], "expected alphabetic") { // the name after * or &
			why += "; a value that begins with * needs quotes"
		}
		return d.fail(&yaml.Node{Line: line}, why, err)
	}
	return d.fail(&yaml.Node{}, "it is not YAML: "+ruletext.Quote(err.Error()), err)
}

// vet refuses what makes a file mean more than it shows. The parser bounds the
// depth.
func (d document) vet(n *yaml.Node) error {
	switch {
	case n.Kind == yaml.AliasNode, n.Anchor != "":
		return d.fail(n, "anchors and aliases (& and *) are not accepted; a value that begins with * needs quotes", nil)
	case n.Style&yaml.TaggedStyle != 0:
		return d.fail(n, "tags (!) are not accepted", nil)
	}
	for _, c := range n.Content {
		if err := d.vet(c); err != nil {
			return err
		}
	}
	return nil
}

// mapping returns the values by key, of which only those in known may be there,
// each once.
func (d document) mapping(n *yaml.Node, what string, known ...string) (map[string]*yaml.Node, error) {
	if n.Kind != yaml.MappingNode {
		return nil, d.fail(n, what+" is not a mapping (key: value)", nil)
	}
	values := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		is := false
		for _, k := range known {
			is = is || key.Kind == yaml.ScalarNode && key.Value == k
		}
		switch {
		case !is:
			return nil, d.fail(key, fmt.Sprintf("%s has no key %s; it has %s", what, ruletext.Quote(key.Value), strings.Join(known, ", ")), nil)
		case values[key.Value] != nil:
			return nil, d.fail(key, fmt.Sprintf("the key %s is there twice", key.Value), nil)
		}
		values[key.Value] = n.Content[i+1]
	}
	return values, nil
}

// sequence returns the elements of a list.
func (d document) sequence(n *yaml.Node, what string) ([]*yaml.Node, error) {
	switch {
	case isNull(n):
		return nil, d.fail(n, what+" is null, which could mean nothing or everything; write [] for an empty list, or leave the key out", nil)
	case n.Kind != yaml.SequenceNode:
		return nil, d.fail(n, what+" is not a list", nil)
	}
	return n.Content, nil
}

// oneOrMany returns the elements of a list that is not empty, or what stands in
// the place of one with a single element.
func (d document) oneOrMany(n *yaml.Node, what string) ([]*yaml.Node, error) {
	if n.Kind == yaml.ScalarNode && !isNull(n) {
		return []*yaml.Node{n}, nil
	}
	list, err := d.sequence(n, what)
	if err == nil && len(list) == 0 {
		err = d.fail(n, what+" is empty, which could mean nothing or everything", nil)
	}
	return list, err
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// sexagesimal is what YAML 1.1 takes for a number to the base of 60.
var sexagesimal = regexp.MustCompile(`^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$`)

// text returns a string, which needs quotes where a reader of YAML may take it for
// something else: NO for false, 1:30 for 90.
func (d document) text(n *yaml.Node, what string) (string, error) {
	if n.Kind != yaml.ScalarNode {
		return "", d.fail(n, what+" is not a text", nil)
	}
	if isNull(n) {
		return "", d.fail(n, what+" is null; give a text, or leave the key out", nil)
	}
	if n.Style == 0 {
		ambiguous := n.ShortTag() != "!!str" || sexagesimal.MatchString(n.Value)
		switch strings.ToLower(n.Value) {
		case "y", "n", "yes", "no", "on", "off", "true", "false", "null", "~":
			ambiguous = true
		}
		if ambiguous {
			return "", d.fail(n, fmt.Sprintf("%s is a text; put %s in quotes", what, ruletext.Quote(n.Value)), nil)
		}
	}
	return n.Value, nil
}

// ports returns PORT, as a number or a text, or FIRST-LAST.
func (d document) ports(n *yaml.Node, what string) (ruletext.Ports, error) {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" && n.ShortTag() != "!!str" {
		return ruletext.Ports{}, d.fail(n, what+" is neither a port nor FIRST-LAST", nil)
	}
	r, err := ruletext.ParsePorts(n.Value)
	if err != nil {
		return ruletext.Ports{}, d.fail(n, fmt.Sprintf("%s: %s is neither a port from 1 to 65535 nor FIRST-LAST", what, ruletext.Quote(n.Value)), err)
	}
	return r, nil
}
