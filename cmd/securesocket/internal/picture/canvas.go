package picture

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"

	"securesocket/cmd/securesocket/internal/terminal"
)

// columnWidth is a little more than what a character of the style's font takes, in pixels.
const columnWidth = 8

// canvas collects shapes from the top down.
type canvas struct {
	out bytes.Buffer
	y   int // the base line of the next text
}

func (c *canvas) down(by int) { c.y += by }

// shape adds an element. Its arguments are numbers and names of ours, never a text of a peer.
func (c *canvas) shape(format string, args ...any) { fmt.Fprintf(&c.out, format+"\n", args...) }

// text adds a line of at most so many columns; what is longer is in the tooltip in full.
func (c *canvas) text(x int, class, text string, columns int) {
	text = terminal.Escape(text)
	shown, rest := fitting(text, columns)
	tip := ""
	if rest != "" {
		shown, tip = shortened(text, columns), "<title>"+xmlText(cut(text, 1000))+"</title>"
	}
	fmt.Fprintf(&c.out, `<text x="%d" y="%d" class="%s">%s%s</text>`+"\n", x, c.y, class, xmlText(shown), tip)
}

// wrapped adds a paragraph over the whole width, of at most so many lines.
func (c *canvas) wrapped(class, text string, lines int) {
	const columns = svgInner / columnWidth
	text = terminal.Escape(text)
	for ; text != "" && lines > 0; lines-- {
		line, rest := fitting(text, columns)
		if at := strings.LastIndexByte(line, ' '); rest != "" && at > 0 {
			line, rest = text[:at], text[at+1:]
		}
		if lines == 1 {
			line, rest = text, ""
		}
		c.text(svgMargin, class, line, columns)
		c.down(lineHeight)
		text = rest
	}
}

// fitting cuts text after so many columns. Characters from Hangul on are counted as two, as most of them are wide.
func fitting(text string, columns int) (head, rest string) {
	for i, r := range text {
		columns--
		if r >= 0x1100 {
			columns--
		}
		if columns < 0 {
			return text[:i], text[i:]
		}
	}
	return text, ""
}

func shortened(text string, columns int) string {
	head, _ := fitting(text, columns-3)
	return head + "..."
}

// xmlText escapes for XML what is first escaped as for a terminal: XML 1.0 has no way to say most control characters.
func xmlText(text string) string {
	var out bytes.Buffer
	_ = xml.EscapeText(&out, []byte(terminal.Escape(text))) // into memory
	return out.String()
}
