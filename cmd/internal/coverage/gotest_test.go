package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// madeUp is a module with tests of every kind.
var madeUp = map[string]string{
	"go.mod": "module madeup\n\ngo 1.26\n",
	"good/good_test.go": `package good

import "testing"

func TestPasses(t *testing.T) { t.Run("a part", func(*testing.T) {}) }

func TestPassesToo(t *testing.T) {}

func TestSkips(t *testing.T) { t.Skip("there is no peer") }

func TestSkipsAPart(t *testing.T) {
	t.Run("there", func(*testing.T) {})
	t.Run("not there", func(t *testing.T) { t.Skip("there is no peer") })
}
`,
	"bad/bad_test.go": `package bad

import "testing"

func TestFails(t *testing.T) {
	t.Run("a part", func(t *testing.T) { t.Fatal("this is why") })
}
`,
	"broken/broken_test.go": "package broken\n\nimport \"testing\"\n\nfunc TestA(t *testing.T) { undefined() }\n",
	"ends/ends_test.go":     "package ends\n\nimport (\"os\"; \"testing\")\n\nfunc TestA(t *testing.T) { os.Exit(0) }\n",
}

func TestRunTests(t *testing.T) {
	t.Parallel()
	module := t.TempDir()
	for name, text := range madeUp {
		path := filepath.Join(module, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	want := map[citation]verdict{
		{"good", "TestPasses"}:               passed,
		{"good", "TestPasses/a_part"}:        passed,
		{"good", "TestPasses/another"}:       missing,
		{"good", "TestSkips"}:                skipped,
		{"good", "TestSkipsAPart"}:           skipped,
		{"good", "TestSkipsAPart/there"}:     passed,
		{"good", "TestSkipsAPart/not_there"}: skipped,
		{"good", "TestIsNowhere"}:            missing,
		{"bad", "TestFails"}:                 failed,
		{"bad", "TestFails/a_part"}:          failed,
		{"broken", "TestA"}:                  failed,
		{"ends", "TestA"}:                    failed,
		{"nowhere", "TestA"}:                 failed,
	}
	var tests []citation
	for c := range want {
		tests = append(tests, c)
	}
	var log strings.Builder
	all, err := runTests(t.Context(), module, tests, &log)
	require.NoError(t, err)
	for c, v := range want {
		got, _ := all[c.folder].judge(c.test)
		require.Equal(t, v, got, c)
	}
	require.Empty(t, all["good"].outcomes["TestPassesToo"], "what is not cited is not run")
	require.Contains(t, log.String(), "this is why")
	require.Contains(t, log.String(), "undefined")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = runTests(ctx, module, tests, &log)
	require.ErrorIs(t, err, context.Canceled)
}
