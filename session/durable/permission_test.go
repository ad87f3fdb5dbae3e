package durable_test

import (
	"os"
	"path/filepath"
	"testing"

	"securesocket/session/durable"

	"github.com/stretchr/testify/require"
)

const file = "securesocket.db"

func refusesPermission(t *testing.T, dir, path string) {
	t.Helper()
	s, err := durable.Open(dir)
	require.Nil(t, s)
	var bad *durable.PermissionError
	require.ErrorAs(t, err, &bad)
	require.Equal(t, path, bad.Path)
}

func TestMadeForTheOwnerAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	open(t, dir)
	for path, want := range map[string]os.FileMode{filepath.Dir(dir): 0o700, dir: 0o700, filepath.Join(dir, file): 0o600} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, want, info.Mode().Perm(), path)
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing is left from making it")
}

func TestWritableForOthers(t *testing.T) {
	t.Parallel()
	for _, mode := range []os.FileMode{0o770, 0o707, 0o777} {
		dir := filepath.Join(t.TempDir(), "d")
		require.NoError(t, os.Mkdir(dir, 0o700))
		require.NoError(t, os.Chmod(dir, mode))
		refusesPermission(t, dir, dir)
		require.NoFileExists(t, filepath.Join(dir, file))
	}
	for _, mode := range []os.FileMode{0o620, 0o602} {
		dir := t.TempDir()
		path := filepath.Join(dir, file)
		require.NoError(t, open(t, dir).Close())
		require.NoError(t, os.Chmod(path, mode))
		refusesPermission(t, dir, path)
		require.NoError(t, os.Chmod(path, 0o640)) // to be read is no harm to what is kept
		require.NoError(t, open(t, dir).Close())
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	real := t.TempDir()
	require.NoError(t, open(t, real).Close())
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(real, link))
	refusesPermission(t, link, link)
	refusesPermission(t, link+"/", link)

	dangling := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(filepath.Join(real, "gone"), dangling))
	refusesPermission(t, dangling, dangling)
	require.NoDirExists(t, filepath.Join(real, "gone"))

	for _, target := range []string{filepath.Join(real, file), filepath.Join(real, "gone")} {
		dir := t.TempDir()
		require.NoError(t, os.Symlink(target, filepath.Join(dir, file)))
		refusesPermission(t, dir, filepath.Join(dir, file))
	}
	require.NoFileExists(t, filepath.Join(real, "gone"))
}

func TestNotAFolder(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err := durable.Open(path)
	require.ErrorContains(t, err, path)
	var bad *durable.ArgumentError
	_, err = durable.Open("")
	require.ErrorAs(t, err, &bad)

	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, file), 0o700))
	_, err = durable.Open(dir)
	require.ErrorContains(t, err, file)
}
