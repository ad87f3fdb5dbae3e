package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// top is the top of the module.
const top = "../../.."

// complete is a file with every row, in which the text of one is another.
func complete(id, text string) string {
	var b strings.Builder
	for _, s := range sections {
		for _, each := range s.ids {
			if each == id {
				b.WriteString(text)
			} else {
				fmt.Fprintf(&b, "row %s\nis something\nn/a of the language\n", each)
			}
		}
	}
	return b.String()
}

func TestParse(t *testing.T) {
	t.Parallel()
	rows, err := parse(strings.NewReader("# a comment\n\n"+complete("A14", `
		row A14
		is apart from that a Socket
		in client.Conn
		by client.TestA
		by securesocket.TestB/with_a_part/of.its_own
		owed the rest
	`)), sections)
	require.NoError(t, err)
	require.Len(t, rows, 100+86)
	require.Equal(t, row{id: "A2b", is: "something", na: "of the language"}, rows[2])
	require.Equal(t, row{
		id: "A14", is: "apart from that a Socket", in: "client.Conn", owed: "the rest",
		by: []citation{{"client", "TestA"}, {".", "TestB/with_a_part/of.its_own"}},
	}, rows[14])
	require.Equal(t, stateInPart, rows[14].state())
	require.Equal(t, stateNA, rows[13].state())
	require.Equal(t, []row{rows[14]}, withState(rows, stateInPart))
}

func TestStates(t *testing.T) {
	t.Parallel()
	by := []citation{{"client", "TestA"}}
	for want, r := range map[state]row{
		stateShown:   {by: by},
		stateInPart:  {by: by, owed: "something"},
		stateOwed:    {owed: "something"},
		stateNA:      {na: "of the language"},
		statePending: {by: by, pending: "something"},
		stateNoTest:  {},
	} {
		require.Equal(t, want, r.state())
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	const good = "is something\nin some.field\nby client.TestA\n"
	for name, tc := range map[string]struct {
		text string
		want error
	}{
		"an unknown key":         {complete("A1", "row A1\n"+good+"tests client.TestB\n"), errUnknownKey},
		"a key without a value":  {complete("A1", "row A1\n"+good+"owed\n"), errNoValue},
		"a key twice":            {complete("A1", "row A1\n"+good+"is something else\n"), errTwice},
		"a test twice":           {complete("A1", "row A1\n"+good+"by client.TestA\n"), errTwice},
		"no text":                {complete("A1", "row A1\nin some.field\nby client.TestA\n"), errNoValue},
		"no place":               {complete("A1", "row A1\nis something\nby client.TestA\n"), errNoValue},
		"a long text":            {complete("A1", "row A1\nin x\nowed x\nis "+strings.Repeat("é", maxIs+1)+"\n"), errTooLong},
		"n/a, and a test":        {complete("A1", "row A1\n"+good+"n/a of the language\n"), errBoth},
		"n/a and owed":           {complete("A1", "row A1\nis x\nn/a x\nowed x\n"), errBoth},
		"pending and owed":       {complete("A1", "row A1\nis x\nin x\npending x\nowed x\n"), errBoth},
		"a row that is unknown":  {complete("A1", "row A1\n"+good+"row A15\n"+good), errUnknownRow},
		"a row without a number": {complete("A1", "row A1\n"+good+"row\n"+good), errUnknownRow},
		"a row twice":            {complete("A1", "row A1\n"+good+"row A1\n"+good), errTwice},
		"a row that is missing":  {complete("A1", ""), errMissing},
		"rows in another order":  {complete("A1", "") + "row A1\n" + good, errOrder},
	} {
		_, err := parse(strings.NewReader(tc.text), sections)
		require.ErrorIs(t, err, tc.want, name)
	}
	_, err := parse(strings.NewReader("is something\n"+complete("", "")), sections)
	require.Error(t, err, "before the first row")
	_, err = parse(strings.NewReader(complete("A1", "row A1\n"+good+"by "+strings.Repeat("x", 1<<20))), sections)
	require.Error(t, err, "a line that has no end")
}

func TestCitations(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]citation{
		"client.TestA":                       {"client", "TestA"},
		"securesocket.TestA":                 {".", "TestA"},
		"tlsengine/certinfo.TestA/a=b,_c.d":  {"tlsengine/certinfo", "TestA/a=b,_c.d"},
		"client.ExampleDialer_events":        {"client", "ExampleDialer_events"},
		"cmd/securesocket.FuzzKey/seed#0":    {"cmd/securesocket", "FuzzKey/seed#0"},
		"server.TestEndsOfTheCaller/abort/x": {"server", "TestEndsOfTheCaller/abort/x"},
	} {
		got, err := parseCitation(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
		require.Equal(t, text, got.String())
	}
	for _, text := range []string{
		"", "TestA", "client.", "client.testA", "client.BenchmarkA", "client.TestA/", "client.TestA/a b", "../x.TestA", "Client.TestA", "client.TestA|TestB",
	} {
		_, err := parseCitation(text)
		require.Error(t, err, text)
	}
	require.Equal(t, "TestA", citation{".", "TestA/b/c"}.top())
}

// The rows of this module are in order, and the documents are what they make. Whether the tests pass is for the command.
func TestDocumentsAreCurrent(t *testing.T) {
	t.Parallel()
	for _, d := range documents {
		rows, err := parse(bytes.NewReader(*d.text), d.sections)
		require.NoError(t, err, d.file)
		require.Empty(t, withState(rows, stateNoTest))
		old, err := os.ReadFile(filepath.Join(top, d.file))
		require.NoError(t, err)
		text, err := d.make(old, rows)
		require.NoError(t, err, d.file)
		require.True(t, bytes.Equal(text, old), "%s is stale: run make coverage", d.file)
	}
}

// Each test that is cited is there under its name, so that whoever renames one is told.
func TestCitedTestsExist(t *testing.T) {
	t.Parallel()
	var rows []row
	for _, d := range documents {
		of, err := parse(bytes.NewReader(*d.text), d.sections)
		require.NoError(t, err, d.file)
		rows = append(rows, of...)
	}
	declared := make(map[string]map[string]bool)
	for _, c := range cited(rows) {
		if declared[c.folder] == nil {
			declared[c.folder] = functionsOf(t, filepath.Join(top, c.folder))
		}
		require.True(t, declared[c.folder][c.top()], "%s: there is no such test", c)
	}
}

// functionsOf are the names of the functions in the tests of a folder.
func functionsOf(t *testing.T, folder string) map[string]bool {
	t.Helper()
	names := make(map[string]bool)
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	require.NoError(t, err)
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				names[f.Name.Name] = true
			}
		}
	}
	return names
}

// The table of threats replaces what stands between its marks, and nothing else.
func TestThreatsGoBetweenTheirMarks(t *testing.T) {
	t.Parallel()
	rows := []row{{id: "T1", is: "a guess", in: "random IDs", by: []citation{{"server", "TestA"}}}}
	const begin, end = "<!-- threats: written by make coverage -->\n", "<!-- end of threats -->\n"
	text, err := threatsInto([]byte("before\n"+begin+"old\n"+end+"after\n"), rows)
	require.NoError(t, err)
	require.Contains(t, string(text), "| 1 | a guess | random IDs | `server.TestA` | shown |\n")
	require.NotContains(t, string(text), "old")
	require.True(t, bytes.HasPrefix(text, []byte("before\n"+begin)))
	require.True(t, bytes.HasSuffix(text, []byte(end+"after\n")))
	again, err := threatsInto(text, rows)
	require.NoError(t, err)
	require.Equal(t, text, again)
	for name, broken := range map[string]string{"no mark": "x", "no end": begin, "twice": begin + end + begin + end, "other order": end + begin} {
		_, err := threatsInto([]byte(broken), rows)
		require.ErrorIs(t, err, errNoMarks, name)
	}
}
