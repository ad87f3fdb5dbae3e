package picture

import (
	"fmt"
	"strings"

	"securesocket/cmd/securesocket/internal/terminal"
	"securesocket/cmd/securesocket/internal/wording"
)

// glyphs are what lines are drawn with.
type glyphs struct{ good, bad, warn, anchor, node, gap, pipe, branch, bar, axis string }

var (
	unicodeGlyphs = glyphs{"\u2714", "\u2718", "!", "\u25c6", "\u25cf", "\u25cb", "\u2502", "\u2514\u2500", "\u2588", "\u00b7"}
	asciiGlyphs   = glyphs{"ok", "x", "!", "#", "*", "?", "|", "`-", "=", "."}
)

// Text writes the diagnosis, the verdict first.
func (d *Diagnosis) Text(out *terminal.Text) {
	g := asciiGlyphs
	if out.Unicode {
		g = unicodeGlyphs
	}
	d.textVerdict(out, g)
	d.textProblems(out, g)
	d.textRevocation(out)
	d.textWarnings(out, g)
	if facts := d.connection(); len(facts) > 0 {
		title(out, "connection")
		for _, f := range facts {
			out.Line("  %-18s  %s", f.name, f.value)
		}
		if hint := wording.ClientCertificateHint(d.Reply.GetTls()); hint != "" {
			textRemedy(out, remedy{"", hint})
		}
	}
	d.textChain(out, g)
	d.textPhases(out, g)
}

func title(out *terminal.Text, format string, args ...any) {
	out.WriteByte('\n')
	out.Styled(terminal.Part{Style: terminal.Bold, Text: fmt.Sprintf(format, args...)})
}

func (d *Diagnosis) textVerdict(out *terminal.Text, g glyphs) {
	v := d.verdict()
	mark, style := g.bad, terminal.Worst
	if v.trusted {
		mark, style = g.good, terminal.Best
	}
	out.Styled(terminal.Part{Style: style, Text: mark + " " + v.word}, terminal.Part{Text: "  " + v.who + ": " + v.why})
	if report := d.Reply.GetReport(); d.Err != nil && !Refused(report) {
		if report != nil {
			out.Line("  certificate: %s, %s", wording.Status(report.GetStatus()), validFor(report))
		}
		textRemedy(out, remedy{d.Err.Side(), d.Err.Remedy()})
	}
}

func textRemedy(out *terminal.Text, r remedy) {
	out.Styled(terminal.Part{Text: "      "}, terminal.Part{Style: terminal.Cyan, Text: "mend"}, terminal.Part{Text: "  " + r.String()})
}

func (d *Diagnosis) textProblems(out *terminal.Text, g glyphs) {
	report := d.Reply.GetReport()
	if len(report.GetProblems()) == 0 {
		return
	}
	title(out, "problems")
	path := report.GetJudgedPath()
	for _, p := range report.GetProblems() {
		where := wording.Depth(p.GetDepth())
		if depth := int(p.GetDepth()); p.Depth != nil && depth >= 0 && depth < len(path) {
			where += ", " + name(path[depth].GetSubject())
		} else if sum := p.GetCertificateSha256(); len(sum) > 0 {
			where += ", sha256 " + wording.Fingerprint(sum)
		}
		out.Styled(terminal.Part{Text: "  "}, terminal.Part{Style: terminal.Bad, Text: g.bad + " " + wording.Problem(p.GetCode())},
			terminal.Part{Style: terminal.Dim, Text: "  (" + where + ")"})
		out.Line("      %s", p.GetMessage())
		for _, r := range remedies(p.GetHint()) {
			textRemedy(out, r)
		}
	}
}

func (d *Diagnosis) textRevocation(out *terminal.Text) {
	report := d.Reply.GetReport()
	if len(report.GetRevocation()) == 0 {
		return
	}
	title(out, "revocation")
	for _, r := range report.GetRevocation() {
		out.Styled(terminal.Part{Text: fmt.Sprintf("  %-14s  ", wording.Depth(r.GetDepth()))},
			terminal.Part{Style: revocationStyle(r), Text: wording.Revocation(r)})
	}
}

func (d *Diagnosis) textWarnings(out *terminal.Text, g glyphs) {
	warnings := d.Reply.GetReport().GetWarnings()
	if len(warnings) == 0 {
		return
	}
	title(out, "warnings")
	for _, w := range warnings {
		out.Styled(terminal.Part{Text: "  "}, terminal.Part{Style: terminal.Warn, Text: g.warn}, terminal.Part{Text: " " + w})
	}
}

// axisCells is the width of the waterfall.
const axisCells = 40

func (d *Diagnosis) textPhases(out *terminal.Text, g glyphs) {
	rows, total := d.phases()
	if len(rows) == 0 {
		return
	}
	title(out, "time, %s in all", wording.Milliseconds(total))
	for _, p := range rows {
		label := terminal.Part{Text: fmt.Sprintf("  %-16s", strings.Repeat("  ", p.level)+p.name)}
		from, to := p.bar(total, axisCells)
		took := fmt.Sprintf("  %11s", wording.Milliseconds(p.took))
		style, mark := terminal.Cyan, terminal.Part{}
		if p.failed {
			style, mark = terminal.Bad, terminal.Part{Style: terminal.Bad, Text: "  " + g.bad + " failed here"}
		}
		if !p.reached { // it failed before it began
			from, to, took = 0, 0, strings.Repeat(" ", 13)
		}
		out.Styled(label, terminal.Part{Style: terminal.Dim, Text: strings.Repeat(g.axis, from)},
			terminal.Part{Style: style, Text: strings.Repeat(g.bar, to-from)},
			terminal.Part{Style: terminal.Dim, Text: strings.Repeat(g.axis, axisCells-to)},
			terminal.Part{Text: took}, mark)
	}
}
