package main

import (
	"fmt"
	"strings"
)

const intro = `# What is covered

Two documents began this service: the SecureSocket class of Adobe AIR, with what it inherits and uses, and the QSslSocket
class of Qt 4.3, with the classes around it. Each row below is a member or a rule of one of them, with the place that it has
here and the tests that show it. The tests go through the wire or against a real TLS peer wherever that can be done.

` + "`make coverage`" + ` has written this from ` + "`cmd/internal/coverage/rows.txt`" + `. It runs every test that is named here, and fails where
one is missing, fails or is skipped; so a row that is called shown is shown by tests that passed. A test is named by its
package and its name, and a subtest by its path. Some need ` + "`openssl`" + ` or Linux. A row is

- **shown**: its tests show all of it;
- **in part**: they show all but what is owed, which is said;
- **owed**: not built yet;
- **n/a**: of the language or the platform of the document, and of no meaning here.
`

const pendingIntro = "- **pending**: being built; what is there of it is shown by the tests that are named.\n"

// render makes the document out of the rows, and of nothing else.
func render(rows []row) []byte {
	byID := make(map[string]row)
	counts := make(map[state]int)
	for _, r := range rows {
		byID[r.id] = r
		counts[r.state()]++
	}
	var b strings.Builder
	b.WriteString(intro)
	states := []state{stateShown, stateInPart, stateOwed, stateNA}
	if counts[statePending] > 0 {
		b.WriteString(pendingIntro)
		states = append(states, statePending)
	}
	b.WriteString("\n| State | Rows |\n|---|---:|\n")
	for _, s := range states {
		fmt.Fprintf(&b, "| %s | %d |\n", s, counts[s])
	}
	fmt.Fprintf(&b, "| all | %d |\n\n%d tests are named.\n", len(rows), len(cited(rows)))
	for _, s := range sections {
		fmt.Fprintf(&b, "\n## %s\n\n| Row | What it is | Here | Shown by | State |\n|---|---|---|---|---|\n", s.title)
		for _, id := range s.ids {
			b.WriteString(line(byID[id]))
		}
	}
	return []byte(b.String())
}

// line is one row of a table.
func line(r row) string {
	tests := make([]string, len(r.by))
	for i, c := range r.by {
		tests[i] = "`" + c.String() + "`"
	}
	told := string(r.state())
	switch r.state() {
	case stateInPart:
		told += "; owed: " + r.owed
	case stateOwed:
		told += ": " + r.owed
	case statePending:
		told += ": " + r.pending
	case stateNA:
		told += ": " + r.na
	}
	return "| " + strings.Join([]string{r.id, cell(r.is), cell(r.in), strings.Join(tests, "<br>"), cell(told)}, " | ") + " |\n"
}

// renderThreats makes the table of threats out of its rows.
func renderThreats(rows []row) []byte {
	var b strings.Builder
	b.WriteString("\n| # | Attack | Defence | Shown by | State |\n|---|---|---|---|---|\n")
	for _, r := range rows {
		r.id = strings.TrimPrefix(r.id, "T")
		b.WriteString(line(r))
	}
	b.WriteString("\n")
	return []byte(b.String())
}

// cell keeps a text from ending its cell.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
