package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// events is what go test -json prints, from lines of an action and a test.
func events(lines ...string) string {
	var b strings.Builder
	for _, line := range lines {
		action, test, _ := strings.Cut(line, " ")
		b.WriteString(`{"Time":"2026-01-02T03:04:05Z","Action":"` + action + `","Package":"securesocket/x","Test":"` + test + `","Elapsed":1}` + "\n")
	}
	return b.String()
}

func resultsOf(t *testing.T, text string) results {
	t.Helper()
	r, err := readEvents(strings.NewReader(text))
	require.NoError(t, err)
	return r
}

func TestJudge(t *testing.T) {
	t.Parallel()
	type decided struct {
		verdict verdict
		by      string
	}
	for name, tc := range map[string]struct {
		events []string
		want   map[string]decided
	}{
		"all is well": {
			[]string{"start ", "run TestA", "run TestA/b", "pass TestA/b", "pass TestA", "pass "},
			map[string]decided{"TestA": {passed, "TestA"}, "TestA/b": {passed, "TestA/b"}, "TestB": {missing, "TestB"}, "TestA/c": {missing, "TestA/c"}},
		},
		"no test at all": {[]string{"start ", "pass "}, map[string]decided{"TestA": {missing, "TestA"}, "TestA/b": {missing, "TestA/b"}}},
		"a part fails": {
			[]string{"fail TestA/b/c", "fail TestA/b", "pass TestA/d", "fail TestA", "pass TestB", "fail "},
			map[string]decided{
				"TestA": {failed, "TestA"}, "TestA/b": {failed, "TestA/b"}, "TestA/b/c": {failed, "TestA/b/c"},
				"TestA/d": {failed, "TestA"}, // what is around it did not end well
				"TestB":   {passed, "TestB"},
			},
		},
		"nobody fails, and yet the package does": {[]string{"pass TestA/b", "pass TestA", "fail "},
			map[string]decided{"TestA": {failed, ""}, "TestA/b": {failed, ""}}},
		"it is skipped": {[]string{"skip TestA", "pass "}, map[string]decided{"TestA": {skipped, "TestA"}, "TestA/b": {skipped, "TestA"}}},
		"a part is skipped": {
			[]string{"skip TestA/b/c", "pass TestA/b", "pass TestA/bb", "pass TestA", "pass TestAB", "pass "},
			map[string]decided{
				"TestA": {skipped, "TestA/b/c"}, "TestA/b": {skipped, "TestA/b/c"}, "TestA/b/c": {skipped, "TestA/b/c"},
				"TestA/bb": {passed, "TestA/bb"}, "TestAB": {passed, "TestAB"},
			},
		},
		"it does not compile": {[]string{"start ", "fail "}, map[string]decided{"TestA": {failed, ""}, "TestA/b": {failed, ""}}},
		"it ends in the middle": {[]string{"run TestA", "pass TestB", "fail "},
			map[string]decided{"TestA": {failed, ""}, "TestB": {failed, ""}}},
	} {
		r := resultsOf(t, events(tc.events...))
		for test, want := range tc.want {
			v, by := r.judge(test)
			require.Equal(t, want, decided{v, by}, "%s: %s", name, test)
		}
	}
	v, _ := results{}.judge("TestA")
	require.Equal(t, missing, v, "nothing was run")
}

func TestEvents(t *testing.T) {
	t.Parallel()
	r := resultsOf(t, `{"Action":"output","Package":"securesocket/x","Test":"TestA","Output":"oh "}
{"Action":"output","Package":"securesocket/x","Test":"TestA","Output":"dear\n"}
{"Action":"output","Package":"securesocket/x","Test":"TestB","Output":"fine\n"}
{"Action":"pass","Package":"securesocket/x","Test":"TestB"}
{"Action":"fail","Package":"securesocket/x","Test":"TestA"}
`)
	require.Equal(t, "oh dear\n", r.printed["TestA"].String())
	require.Nil(t, r.printed["TestB"], "nobody asks about what passed")
	r = resultsOf(t, `{"ImportPath":"securesocket/x","Action":"build-output","Output":"undefined: y\n"}
{"ImportPath":"securesocket/x","Action":"build-fail"}
`)
	require.Equal(t, "undefined: y\n", r.printed[""].String())
	v, by := r.judge("TestA")
	require.Equal(t, failed, v)
	require.Empty(t, by)
	_, err := readEvents(strings.NewReader("ok\n"))
	require.Error(t, err)
}

func TestJudgeRows(t *testing.T) {
	t.Parallel()
	x := func(test string) citation { return citation{"x", test} }
	rows := []row{
		{id: "A1", by: []citation{x("TestA"), x("TestB")}},
		{id: "A2", by: []citation{x("TestC")}},
		{id: "A3", owed: "everything"},
		{id: "A4", na: "of the language"},
		{id: "A5", pending: "soon"},
		{id: "A6"},
	}
	all := map[string]results{"x": resultsOf(t, events("pass TestA", "skip TestB", "pass TestC", "pass "))}
	err := judgeRows(rows, all)
	j, ok := errors.AsType[judgement](err)
	require.True(t, ok)
	require.Equal(t, judgement{"A1", x("TestB"), skipped, "TestB"}, j)
	n, ok := errors.AsType[noTest](err)
	require.True(t, ok)
	require.Equal(t, noTest{"A6"}, n)
	require.NoError(t, judgeRows(rows[1:5], all))
	require.Error(t, judgeRows(rows[1:2], nil), "nothing was run")
}
