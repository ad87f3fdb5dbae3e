// Package terminal makes output for people that is safe to look at: whatever a line quotes, it stays one line and moves
// no cursor. Styles are laid around text that is escaped already, and only where they were asked for.
//
// It does not wrap lines and does not know what they say.
//
// # Concurrency
//
// A Text belongs to one goroutine. The functions may be called from any.
//
// # Errors
//
// There are none: a Text is in memory.
package terminal

import (
	"bytes"
	"fmt"
)

// Text is output for people. Its lines are escaped, whatever they quote. The zero value is plain: ASCII where the choice
// is ours, without colours.
type Text struct {
	bytes.Buffer
	// Colour lets styles show.
	Colour bool
	// Unicode lets lines be drawn with more than ASCII.
	Unicode bool
}

// Line adds a line.
func (t *Text) Line(format string, args ...any) {
	t.WriteString(Escape(fmt.Sprintf(format, args...)))
	t.WriteByte('\n')
}

// Styled adds a line of parts.
func (t *Text) Styled(parts ...Part) {
	for _, p := range parts {
		text := Escape(p.Text)
		if !t.Colour || p.Style == Plain || text == "" {
			t.WriteString(text)
			continue
		}
		t.WriteString("\x1b[" + string(p.Style) + "m" + text + "\x1b[0m")
	}
	t.WriteByte('\n')
}

// Part is a piece of a line.
type Part struct {
	Style Style
	Text  string
}

// Style is how a part looks: parameters of ECMA-48's SGR. The colours are those that a terminal's own theme defines, so
// that they are readable in light and dark.
type Style string

// The styles.
const (
	Plain Style = ""
	Bold  Style = "1"
	Dim   Style = "2"
	Good  Style = "32"
	Warn  Style = "33"
	Bad   Style = "31"
	Worst Style = "1;31"
	Best  Style = "1;32"
	Cyan  Style = "36"
)
