package benchpeers

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
)

const (
	plotWidth   = 960
	plotMargin  = 24
	plotGap     = 24 // between the two columns
	panelWidth  = (plotWidth - 2*plotMargin - plotGap) / 2
	nameWidth   = 160 // what a way's name takes
	figureWidth = 140 // what a value takes
	barsWidth   = panelWidth - nameWidth - figureWidth
	lineHeight  = 18
	panelSpace  = 22 // below a panel
	headColumns = 120
)

// plotStyle has the colours of light and of dark. Fonts are the viewer's own.
const plotStyle = `
svg{--paper:#ffffff;--ink:#1f2328;--soft:#59636e;--ours:#0969da;--theirs:#9aa4af}
@media (prefers-color-scheme:dark){svg{--paper:#0d1117;--ink:#e6edf3;--soft:#9198a1;--ours:#4493f8;--theirs:#59636e}}
text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:var(--ink)}
.head{font-size:17px;font-weight:600}.title{font-weight:600}.soft{fill:var(--soft)}
.paper{fill:var(--paper)}.ours{fill:var(--ours)}.theirs{fill:var(--theirs)}
`

// SVG is the table as bars, a panel for each row: no scripts, nothing from elsewhere. A row's bars share a scale, and no
// two rows do.
func (r *Report) SVG() []byte {
	var shapes bytes.Buffer
	y := plotMargin + 16
	text(&shapes, plotMargin, y, "head", "The service beside others, on one machine, in one run")
	for _, fact := range append(r.facts(), "▲ more is better, ▼ less is better; the service's bars are the blue ones.") {
		for _, line := range wrap(fact, headColumns) {
			y += lineHeight
			text(&shapes, plotMargin, y, "soft", line)
		}
	}
	y += panelSpace
	height := panelSpace + lineHeight*(1+len(r.Ways()))
	for i, row := range r.rows {
		x := plotMargin + (i%2)*(panelWidth+plotGap)
		r.panel(&shapes, row, x, y+i/2*height)
	}
	total := y + (len(r.rows)+1)/2*height + plotMargin

	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img">`+"\n", plotWidth, total, plotWidth, total)
	fmt.Fprintf(&out, "<title>Benchmarks</title>\n<style>%s</style>\n", plotStyle)
	fmt.Fprintf(&out, `<rect class="paper" width="%d" height="%d"/>`+"\n", plotWidth, total)
	out.Write(shapes.Bytes())
	out.WriteString("</svg>\n")
	return out.Bytes()
}

// panel draws one row.
func (r *Report) panel(out *bytes.Buffer, row row, x, y int) {
	better := " ▼"
	if row.more {
		better = " ▲"
	}
	y += lineHeight
	text(out, x, y, "title", row.title+better)
	most := 0.0
	for _, way := range r.Ways() {
		v, _ := r.median(row, way)
		most = max(most, v)
	}
	for _, way := range r.Ways() {
		y += lineHeight
		text(out, x, y, "soft", way)
		v, ok := r.median(row, way)
		if !ok {
			text(out, x+nameWidth, y, "soft", "-")
			continue
		}
		class := "theirs"
		if way == Shared || way == Dedicated || way == Resumable {
			class = "ours"
		}
		width := 1
		if most > 0 && v > 0 {
			width = max(int(v/most*barsWidth), 1)
		}
		fmt.Fprintf(out, `<rect class="%s" x="%d" y="%d" width="%d" height="11" rx="2"/>`+"\n", class, x+nameWidth, y-10, width)
		text(out, x+nameWidth+width+6, y, "", number(v)+" "+row.unit)
	}
}

func text(out *bytes.Buffer, x, y int, class, s string) {
	fmt.Fprintf(out, `<text x="%d" y="%d" class="%s">%s</text>`+"\n", x, y, class, escape(s))
}

func escape(s string) string {
	var out strings.Builder
	_ = xml.EscapeText(&out, []byte(s)) // into memory
	return out.String()
}

// wrap breaks s at spaces into lines of at most so many bytes; a longer word stays whole.
func wrap(s string, columns int) (lines []string) {
	for word := range strings.FieldsSeq(s) {
		last := len(lines) - 1
		if last < 0 || len(lines[last])+1+len(word) > columns {
			lines = append(lines, word)
			continue
		}
		lines[last] += " " + word
	}
	return lines
}
