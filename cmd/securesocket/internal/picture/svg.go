package picture

import (
	"bytes"
	"fmt"
	"strings"

	"securesocket/cmd/securesocket/internal/wording"
	pb "securesocket/gen/securesocket/v1"
)

const (
	svgWidth   = 960
	svgMargin  = 28
	svgInner   = svgWidth - 2*svgMargin
	lineHeight = 18
)

// svgStyle has the colours of light and of dark; a picture has no other. Fonts are the viewer's own.
const svgStyle = `
svg{--paper:#ffffff;--ink:#1f2328;--soft:#59636e;--line:#c8ced6;--card:#f6f8fa;--good:#1a7f37;--bad:#cf222e;--warn:#9a6700;--bar:#0969da}
@media (prefers-color-scheme:dark){svg{--paper:#0d1117;--ink:#e6edf3;--soft:#9198a1;--line:#3d444d;--card:#151b23;--good:#3fb950;--bad:#f85149;--warn:#d29922;--bar:#4493f8}}
text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:var(--ink)}
.head{font-size:19px;font-weight:600}.title{font-weight:600}.soft{fill:var(--soft)}
.good{fill:var(--good)}.bad{fill:var(--bad)}.warn{fill:var(--warn)}
.paper{fill:var(--paper)}.card{fill:var(--card);stroke:var(--line)}.cardgood{stroke:var(--good)}.cardbad{stroke:var(--bad)}
.gap{fill:none;stroke:var(--bad);stroke-dasharray:5 4}.wire{stroke:var(--line);stroke-width:2;fill:none}.axis{stroke:var(--line)}
.bar{fill:var(--bar)}.barbad{fill:var(--bad)}
`

// SVG is the chain and the waterfall as one picture: no scripts, nothing from elsewhere.
func (d *Diagnosis) SVG() []byte {
	c := &canvas{y: svgMargin}
	v := d.verdict()
	class := "head bad"
	if v.trusted {
		class = "head good"
	}
	c.down(16)
	c.text(svgMargin, class, v.word+": "+v.who, 74)
	c.down(lineHeight + 4)
	c.wrapped("", v.why, 3)
	for _, r := range d.headRemedies() {
		c.wrapped("soft", r.String(), 2)
	}
	for _, w := range d.Reply.GetReport().GetWarnings() {
		c.wrapped("warn", w, 2)
	}
	if facts := d.connection(); len(facts) > 0 {
		said := make([]string, len(facts))
		for i, f := range facts {
			said[i] = f.name + " " + f.value
		}
		c.wrapped("soft", strings.Join(said, ", "), 2)
		if hint := wording.ClientCertificateHint(d.Reply.GetTls()); hint != "" {
			c.wrapped("soft", hint, 2)
		}
	}
	c.down(10)
	d.svgChain(c)
	d.svgPhases(c)
	height := c.y + svgMargin

	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img">`+"\n", svgWidth, height, svgWidth, height)
	fmt.Fprintf(&out, "<title>%s</title>\n<style>%s</style>\n", xmlText(cut(v.word+" "+v.who, maxName)), svgStyle)
	fmt.Fprintf(&out, `<rect class="paper" width="%d" height="%d"/>`+"\n", svgWidth, height)
	out.Write(c.out.Bytes())
	out.WriteString("</svg>\n")
	return out.Bytes()
}

// headRemedies are those of what the verdict rests on.
func (d *Diagnosis) headRemedies() []remedy {
	report := d.Reply.GetReport()
	if Refused(report) {
		return remedies(Deciding(report).GetHint())
	}
	if d.Err != nil {
		return []remedy{{d.Err.Side(), d.Err.Remedy()}}
	}
	return nil
}

// svgChain draws a card for each link, the anchor on top.
func (d *Diagnosis) svgChain(c *canvas) {
	const indent = 26
	links := d.chain()
	if len(links) == 0 {
		return
	}
	c.wrapped("title", "chain"+judgedBy(d.Reply.GetReport()), 1)
	for level, l := range links {
		x := svgMargin + min(level, 8)*indent
		columns := (svgWidth - svgMargin - x - 24) / columnWidth
		lines := cardLines(l)
		height := len(lines)*lineHeight + 14
		class := "card"
		switch {
		case l.certificate == nil:
			class = "gap"
		case len(l.problems) > 0:
			class += " cardbad"
		case l.anchor:
			class += " cardgood"
		}
		if level > 0 {
			// From the card above down to the middle of this one.
			from := svgMargin + min(level-1, 8)*indent + indent/2
			c.shape(`<path class="wire" d="M%d %d V%d H%d"/>`, from, c.y-8, c.y+height/2, max(x, from))
		}
		c.shape(`<rect class="%s" x="%d" y="%d" width="%d" height="%d" rx="6"/>`, class, x, c.y, svgWidth-svgMargin-x, height)
		top := c.y
		for i, line := range lines {
			c.y = top + 20 + i*lineHeight
			c.text(x+12, line.class, line.text, columns)
		}
		c.y = top + height + 8
	}
	c.down(14) // from a card's edge to a base line
	for _, extra := range d.unused() {
		c.wrapped("soft", "sent too, and not part of it: "+name(extra.GetSubject()), 1)
	}
	c.down(10)
}

type cardLine struct{ class, text string }

func cardLines(l link) []cardLine {
	lines := []cardLine{{"title", l.name}}
	if l.issuer != "" {
		lines = append(lines, cardLine{"", "issued by " + l.issuer})
	}
	lines = append(lines, cardLine{"", l.role + ", " + l.origin})
	if l.facts != "" {
		lines = append(lines, cardLine{"soft", l.facts})
	}
	if l.names != "" {
		lines = append(lines, cardLine{"soft", "for " + l.names})
	}
	for _, p := range l.problems {
		lines = append(lines, cardLine{"bad", wording.Problem(p.GetCode()) + ": " + p.GetMessage()})
	}
	if r := l.revocation; r != nil {
		class := "warn"
		switch r.GetOutcome() {
		case pb.RevocationResult_OUTCOME_GOOD:
			class = "good"
		case pb.RevocationResult_OUTCOME_REVOKED:
			class = "bad"
		}
		lines = append(lines, cardLine{class, "revocation: " + wording.Revocation(r)})
	}
	return lines
}

// svgPhases draws a bar for each phase, on one axis.
func (d *Diagnosis) svgPhases(c *canvas) {
	const left, right, barHeight, indent = svgMargin + 130, 190, 12, 14
	const axis = svgWidth - svgMargin - right - left
	rows, total := d.phases()
	if len(rows) == 0 {
		return
	}
	c.wrapped("title", "time, "+wording.Milliseconds(total)+" in all", 1)
	c.shape(`<path class="axis" d="M%d %d V%d M%d %d V%d"/>`, left, c.y-8, c.y+len(rows)*lineHeight, left+axis, c.y-8, c.y+len(rows)*lineHeight)
	for _, p := range rows {
		c.down(lineHeight)
		class, bar, after := "soft", "bar", ""
		if p.failed {
			class, bar, after = "bad", "barbad", "  failed here"
		}
		c.y -= 4
		c.text(svgMargin+p.level*indent, class, p.name, 14)
		if p.reached {
			from, to := p.bar(total, axis)
			c.shape(`<rect class="%s" x="%d" y="%d" width="%d" height="%d" rx="2"/>`, bar, left+from, c.y-10, max(to-from, 2), barHeight)
			after = wording.Milliseconds(p.took) + after
		}
		c.text(left+axis+10, class, strings.TrimSpace(after), 26)
		c.y += 4
	}
}
