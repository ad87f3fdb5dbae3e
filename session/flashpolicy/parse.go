package flashpolicy

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	maxDepth      = 4 // allow-access-from-identity has a certificate in a signatory
	maxElements   = 1024
	maxAttributes = 8
)

// errOther: the text is XML or looks like it, and is no policy file.
var errOther = errors.New("not a policy file")

// malformed is what is wrong with a policy file, in this package's words.
type malformed string

func (m malformed) Error() string { return string(m) }

const (
	errXML        = malformed("the policy file is not well-formed XML in UTF-8")
	errInner      = malformed("the policy file's DOCTYPE declares something")
	errRoots      = malformed("the policy file goes on behind its end")
	errText       = malformed("the policy file has text between its elements")
	errElement    = malformed("the policy file has an element where none such belongs")
	errSize       = malformed("the policy file has too many elements or attributes, or too deep ones")
	errAttribute  = malformed("the policy file has an element with other attributes than are its own")
	errMetaPolicy = malformed("the policy file's meta-policy is unclear")
	errPorts      = malformed("the policy file has a to-ports that is no list of ports")
)

type metaPolicy int

const (
	metaAll metaPolicy = iota // the default of socket policy files
	metaMasterOnly
	metaNone
)

// file is a socket policy file.
type file struct {
	meta   metaPolicy
	grants []grant
}

// parse reads a policy file without its NUL. The error is errOther or malformed.
func parse(text []byte) (*file, error) {
	p := parser{xml: xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(text, []byte(bom)))), file: &file{}}
	for {
		token, err := p.xml.Token()
		switch {
		case errors.Is(err, io.EOF) && p.ended && utf8.Valid(text): // encoding/xml lets comments be anything
			return p.file, nil
		case err != nil:
			return nil, errXML // its own words have the file's in them
		}
		if err := p.take(token); err != nil {
			return nil, err
		}
	}
}

type parser struct {
	xml      *xml.Decoder
	file     *file
	path     []string // of the elements that are open
	elements int
	ended    bool // the root is
	typed    bool // there was a DOCTYPE
	governed bool // there was a site-control
}

func (p *parser) take(token xml.Token) error {
	switch t := token.(type) {
	case xml.StartElement:
		return p.begin(t)
	case xml.EndElement:
		p.path = p.path[:len(p.path)-1]
		p.ended = len(p.path) == 0
	case xml.CharData:
		if len(bytes.Trim(t, " \t\r\n")) != 0 {
			return errText
		}
	case xml.Directive:
		return p.directive(string(t))
	}
	return nil
}

// directive takes the DOCTYPE. Nothing in it is resolved, so that an inner subset would do nothing; but who writes one
// means something else than what is read here.
func (p *parser) directive(d string) error {
	words := strings.Fields(d)
	switch {
	case p.elements > 0 || p.typed:
		return errRoots
	case len(words) < 2 || !strings.EqualFold(words[0], "DOCTYPE"):
		return errXML
	case words[1] != rootName && !strings.HasPrefix(words[1], rootName+"["):
		return errOther
	case words[0] != "DOCTYPE":
		return errXML
	case strings.Contains(d, "["):
		return errInner
	}
	p.typed = true
	return nil
}

const rootName = "cross-domain-policy"

// parents has the elements of a socket policy file, and what each belongs in.
var parents = map[string]string{
	rootName:                          "",
	"site-control":                    rootName,
	"allow-access-from":               rootName,
	"allow-http-request-headers-from": rootName, // of no meaning for sockets
	"allow-access-from-identity":      rootName, // nor this, nor what is in it
	"signatory":                       "allow-access-from-identity",
	"certificate":                     "signatory",
}

func (p *parser) begin(e xml.StartElement) error {
	if p.elements == 0 && (e.Name.Local != rootName || e.Name.Space != "") {
		return errOther
	}
	if p.ended {
		return errRoots
	}
	p.elements++
	if p.elements > maxElements || len(p.path) == maxDepth || len(e.Attr) > maxAttributes {
		return errSize
	}
	parent := ""
	if n := len(p.path); n > 0 {
		parent = p.path[n-1]
	}
	if belongs, known := parents[e.Name.Local]; !known || belongs != parent || e.Name.Space != "" {
		return errElement
	}
	p.path = append(p.path, e.Name.Local)
	switch e.Name.Local {
	case "site-control":
		return p.siteControl(e.Attr)
	case "allow-access-from":
		return p.allowAccessFrom(e.Attr)
	}
	return nil
}

// siteControl takes the meta-policy. A misspelt one is not taken for the default, which forbids nothing.
func (p *parser) siteControl(attrs []xml.Attr) error {
	values, err := attributes(attrs, "permitted-cross-domain-policies")
	if err != nil {
		return err
	}
	if p.governed {
		return errMetaPolicy
	}
	p.governed = true
	switch values["permitted-cross-domain-policies"] {
	case "all", "by-content-type", "by-ftp-filename": // the last two are about HTTP and FTP, and say nothing of sockets
	case "master-only":
		p.file.meta = metaMasterOnly
	case "none":
		p.file.meta = metaNone
	default:
		return errMetaPolicy
	}
	return nil
}

func (p *parser) allowAccessFrom(attrs []xml.Attr) error {
	values, err := attributes(attrs, "domain", "to-ports", "secure")
	if err != nil {
		return err
	}
	g := grant{domain: strings.ToLower(values["domain"]), secure: values["secure"] == "true"}
	if s, ok := values["secure"]; values["domain"] == "" || ok && s != "true" && s != "false" {
		return errAttribute
	}
	if list, ok := values["to-ports"]; ok { // a file for HTTP has none, and grants no port
		if g.ports, err = parsePorts(list); err != nil {
			return err
		}
	}
	p.file.grants = append(p.file.grants, g)
	return nil
}

// attributes returns what an element has of its own attributes. encoding/xml lets one come twice.
func attributes(attrs []xml.Attr, names ...string) (map[string]string, error) {
	values := map[string]string{}
	for _, a := range attrs {
		if _, twice := values[a.Name.Local]; twice || a.Name.Space != "" || !slices.Contains(names, a.Name.Local) {
			return nil, errAttribute
		}
		values[a.Name.Local] = a.Value
	}
	return values, nil
}
