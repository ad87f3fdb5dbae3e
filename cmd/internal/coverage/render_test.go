package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLine(t *testing.T) {
	t.Parallel()
	by := []citation{{"x", "TestA"}, {".", "TestB/c"}}
	for want, r := range map[string]row{
		"| A1 | what | here | `x.TestA`<br>`securesocket.TestB/c` | shown |\n":                      {id: "A1", is: "what", in: "here", by: by},
		"| A1 | a \\| b | here | `x.TestA`<br>`securesocket.TestB/c` | in part; owed: the rest |\n": {id: "A1", is: "a | b", in: "here", by: by, owed: "the rest"},
		"| A1 | what | here |  | owed: all of it |\n":                                               {id: "A1", is: "what", in: "here", owed: "all of it"},
		"| A1 | what |  |  | n/a: of the language |\n":                                              {id: "A1", is: "what", na: "of the language"},
		"| A1 | what | here |  | pending: soon |\n":                                                 {id: "A1", is: "what", in: "here", pending: "soon"},
	} {
		require.Equal(t, want, line(r))
	}
}

func TestRender(t *testing.T) {
	t.Parallel()
	rows, err := parse(strings.NewReader(complete("A14", "row A14\nis a Socket\nin client.Conn\nby client.TestA\n")), sections)
	require.NoError(t, err)
	text := string(render(rows))
	require.Equal(t, text, string(render(rows)), "the same again")
	require.Contains(t, text, "| shown | 1 |\n| in part | 0 |\n| owed | 0 |\n| n/a | 185 |\n| all | 186 |\n")
	require.Contains(t, text, "\n1 tests are named.\n")
	require.NotContains(t, text, "pending")
	at := 0
	for _, s := range sections {
		next := strings.Index(text, "\n## "+s.title+"\n")
		require.Greater(t, next, at, "%s: in its order", s.title)
		at = next
		for _, id := range s.ids {
			require.Equal(t, 1, strings.Count(text, "\n| "+id+" | "), id)
		}
	}
	rows[0] = row{id: "A1", is: "something", in: "here", pending: "soon"}
	require.Contains(t, string(render(rows)), "| pending | 1 |\n")
}
