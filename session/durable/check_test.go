package durable_test

import (
	"os"
	"path/filepath"
	"testing"

	"securesocket/session/durable"

	"github.com/stretchr/testify/require"
)

// checkedAsOpened wants the error of Check to be that of Open.
func checkedAsOpened(t *testing.T, dir string) {
	t.Helper()
	checked := durable.Check(dir)
	_, err := durable.Open(dir)
	require.Error(t, err)
	require.Equal(t, err, checked)
}

func TestCheckSaysWhatOpenWould(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	plain := filepath.Join(top, "plain")
	require.NoError(t, os.WriteFile(plain, nil, 0o600))
	checkedAsOpened(t, "")
	checkedAsOpened(t, plain)
	checkedAsOpened(t, filepath.Join(plain, "below", "it"))

	link := filepath.Join(top, "link")
	require.NoError(t, os.Symlink(top, link))
	checkedAsOpened(t, link)

	open777 := filepath.Join(top, "open")
	require.NoError(t, os.Mkdir(open777, 0o700))
	require.NoError(t, os.Chmod(open777, 0o777))
	checkedAsOpened(t, open777)

	for name, prepare := range map[string]func(path string) error{
		"mode":    func(path string) error { return os.Chmod(path, 0o622) },
		"short":   func(path string) error { return os.Truncate(path, 100) },
		"garbage": func(path string) error { return os.WriteFile(path, make([]byte, 1<<16), 0o600) },
		"folder": func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.Mkdir(path, 0o700)
		},
	} {
		dir := filepath.Join(top, name)
		require.NoError(t, open(t, dir).Close())
		require.NoError(t, prepare(filepath.Join(dir, file)))
		checkedAsOpened(t, dir)
	}
}

func TestCheckChangesNothing(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	dir := filepath.Join(top, "a", "b")
	require.NoError(t, durable.Check(dir))
	entries, err := os.ReadDir(top)
	require.NoError(t, err)
	require.Empty(t, entries)

	s := open(t, dir)
	require.NoError(t, durable.Check(dir), "a service has it")
	require.NoError(t, s.Put("a", "b", []byte("c")))
	require.NoError(t, s.Close())
	before, err := os.ReadFile(filepath.Join(dir, file))
	require.NoError(t, err)
	require.NoError(t, durable.Check(dir))
	after, err := os.ReadFile(filepath.Join(dir, file))
	require.NoError(t, err)
	require.Equal(t, before, after)
}
