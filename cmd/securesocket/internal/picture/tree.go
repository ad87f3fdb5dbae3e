package picture

import (
	"strings"

	"securesocket/cmd/securesocket/internal/terminal"
	"securesocket/cmd/securesocket/internal/wording"
	pb "securesocket/gen/securesocket/v1"
)

// textChain draws the chain as a tree: who signs stands above whom he signs.
func (d *Diagnosis) textChain(out *terminal.Text, g glyphs) {
	links := d.chain()
	if len(links) == 0 {
		return
	}
	title(out, "chain%s", judgedBy(d.Reply.GetReport()))
	for level, l := range links {
		indent := "  "
		if level > 0 {
			indent += strings.Repeat("   ", level-1) + g.branch + " "
		}
		mark, style := g.node, terminal.Bold
		switch {
		case l.certificate == nil:
			mark, style = g.gap, terminal.Bad
		case l.anchor:
			mark = g.anchor
		}
		out.Styled(terminal.Part{Style: terminal.Dim, Text: indent}, terminal.Part{Style: nodeStyle(l), Text: mark},
			terminal.Part{Style: style, Text: " " + l.name})
		// The lines below a node hang from it; a bar leads on to the next.
		below := "  " + strings.Repeat("   ", level) + "   "
		if level < len(links)-1 {
			below = "  " + strings.Repeat("   ", level) + g.pipe + strings.Repeat(" ", 3-len([]rune(g.pipe)))
		}
		hang := func(style terminal.Style, text string) {
			out.Styled(terminal.Part{Style: terminal.Dim, Text: below}, terminal.Part{Style: style, Text: text})
		}
		if l.issuer != "" {
			hang(terminal.Plain, "issued by "+l.issuer)
		}
		hang(terminal.Plain, l.role+", "+l.origin)
		if l.certificate == nil {
			continue
		}
		hang(terminal.Dim, l.facts)
		if l.names != "" {
			hang(terminal.Dim, "for "+l.names)
		}
		for _, p := range l.problems {
			hang(terminal.Bad, g.bad+" "+wording.Problem(p.GetCode()))
		}
		if l.revocation.GetOutcome() == pb.RevocationResult_OUTCOME_GOOD {
			hang(terminal.Good, "not revoked")
		}
	}
	if extra := d.unused(); len(extra) > 0 {
		out.Line("  sent too, and not part of it:")
		for _, c := range extra {
			out.Styled(terminal.Part{Text: "    " + name(c.GetSubject())}, terminal.Part{Style: terminal.Dim, Text: ", " + facts(c)})
		}
	}
}

func nodeStyle(l link) terminal.Style {
	switch {
	case l.certificate == nil || len(l.problems) > 0:
		return terminal.Bad
	case l.anchor:
		return terminal.Good
	}
	return terminal.Plain
}

func revocationStyle(r *pb.RevocationResult) terminal.Style {
	switch r.GetOutcome() {
	case pb.RevocationResult_OUTCOME_GOOD:
		return terminal.Good
	case pb.RevocationResult_OUTCOME_REVOKED:
		return terminal.Bad
	}
	return terminal.Warn
}
