package starttls

import (
	"encoding/xml"
	"net/netip"
	"strings"
)

const (
	nsStream = "http://etherx.jabber.org/streams"
	nsTLS    = "urn:ietf:params:xml:ns:xmpp-tls"
)

// xmpp speaks as a client does. The decoder reads byte by byte and stops at the end of an element, and knows the five
// entities of XML alone: what could define others is refused (RFC 6120, section 11.1).
func xmpp(d *dialogue) error {
	s := stanzas{d: d, decoder: xml.NewDecoder(&xmlSource{reader: &d.reader})}
	to := ""
	if name := domainpart(d.host); name != "" {
		to = " to='" + escapeXML(name) + "'"
	}
	if err := d.say("<?xml version='1.0'?><stream:stream" + to +
		" xmlns='jabber:client' xmlns:stream='" + nsStream + "' version='1.0'>"); err != nil {
		return err
	}
	header, err := s.header()
	switch {
	case err != nil:
		return err
	case !header: // of before RFC 3920: there are no features to wait for
		return refused("")
	}
	features, err := s.next()
	switch {
	case err != nil:
		return err
	case features.name != (xml.Name{Space: nsStream, Local: "features"}):
		return malformed("no features", features.name.Local)
	case !features.offersTLS:
		return refused("")
	}
	d.greeted = true
	if err := d.say("<starttls xmlns='" + nsTLS + "'/>"); err != nil {
		return err
	}
	answer, err := s.next()
	switch {
	case err != nil:
		return err
	case answer.name == xml.Name{Space: nsTLS, Local: "proceed"}:
		return nil
	case answer.name == xml.Name{Space: nsTLS, Local: "failure"}:
		return refused("failure " + answer.words())
	}
	return malformed("neither yes nor no", answer.name.Local)
}

// domainpart writes a host as an address of XMPP does (RFC 7622, section 3.2).
func domainpart(host string) string {
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() {
		return "[" + ip.WithZone("").String() + "]"
	}
	return strings.TrimSuffix(host, ".")
}

func escapeXML(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a builder takes everything
	return b.String()
}

// xmlSource lets the decoder begin with a tag alone: it would read a peer that speaks something else to its end, in search of
// one.
type xmlSource struct {
	*reader
	begun bool
}

func (s *xmlSource) ReadByte() (byte, error) {
	b, err := s.reader.ReadByte()
	if err == nil && !s.begun && b != '<' {
		s.err = malformed("not XML", string([]byte{b}))
		return 0, s.err
	}
	s.begun = true
	return b, err
}

// stanzas reads the peer's stream, one child of its root after the other.
type stanzas struct {
	d       *dialogue
	decoder *xml.Decoder
}

// stanza is what is of use of one child.
type stanza struct {
	name      xml.Name
	offersTLS bool     // a starttls is among its children
	children  []string // their names
	text      []string // of all depths
}

func (s *stanza) words() string { return strings.Join(append(s.children, s.text...), " ") }

// token reads the next token. What RFC 6120, section 11.1, forbids is malformed.
func (s *stanzas) token() (xml.Token, error) {
	token, err := s.decoder.Token()
	switch {
	case s.d.err != nil:
		return nil, s.d.err // before what the decoder makes of it
	case err != nil:
		return nil, malformed("not XML", err.Error())
	}
	switch token := token.(type) {
	case xml.Comment, xml.Directive:
		return nil, malformed("a comment or a definition", "")
	case xml.ProcInst:
		if token.Target != "xml" {
			return nil, malformed("an instruction", token.Target)
		}
	}
	return token, nil
}

// start reads up to the next start of an element, over white space; the end of the stream is an end of the connection's.
func (s *stanzas) start() (xml.StartElement, error) {
	for {
		token, err := s.token()
		if err != nil {
			return xml.StartElement{}, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			return token, nil
		case xml.CharData:
			if text := strings.TrimSpace(string(token)); text != "" {
				return xml.StartElement{}, malformed("text between elements", text)
			}
		case xml.EndElement:
			return xml.StartElement{}, malformed("the peer closed the stream", "")
		}
	}
}

// header reads the start of the stream and says whether it is of version 1.0 or later.
func (s *stanzas) header() (bool, error) {
	root, err := s.start()
	if err != nil {
		return false, err
	}
	if root.Name != (xml.Name{Space: nsStream, Local: "stream"}) {
		return false, malformed("not a stream", root.Name.Local)
	}
	for _, attr := range root.Attr {
		if attr.Name == (xml.Name{Local: "version"}) {
			major, _, _ := strings.Cut(attr.Value, ".")
			return strings.Trim(major, "0") != "", nil
		}
	}
	return false, nil
}

// next reads one child of the stream to its end. A stream's error is a refusal (RFC 6120, section 4.9).
func (s *stanzas) next() (*stanza, error) {
	start, err := s.start()
	if err != nil {
		return nil, err
	}
	child := &stanza{name: start.Name}
	for depth := 1; depth > 0; {
		token, err := s.token()
		if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			if depth++; depth == 2 {
				child.children = append(child.children, token.Name.Local)
				child.offersTLS = child.offersTLS || token.Name == xml.Name{Space: nsTLS, Local: "starttls"}
			}
		case xml.EndElement:
			depth--
		case xml.CharData:
			child.text = append(child.text, strings.Fields(string(token))...)
		}
	}
	if child.name == (xml.Name{Space: nsStream, Local: "error"}) {
		return nil, refused("stream error " + child.words())
	}
	return child, nil
}
