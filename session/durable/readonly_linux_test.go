package durable_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"securesocket/session/durable"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// asNobody runs f on a thread for which permissions count, also when the tests run as root.
func asNobody(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never given back: it ends with the goroutine
		if os.Geteuid() == 0 {
			_, _ = unix.SetfsuidRetUid(65534)
		}
		f()
	}()
	<-done
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	top, err := os.MkdirTemp("", "durable")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(top) })
	require.NoError(t, os.Chmod(top, 0o755))
	empty, full := filepath.Join(top, "empty"), filepath.Join(top, "full")
	require.NoError(t, os.Mkdir(empty, 0o755))
	require.NoError(t, os.Chmod(empty, 0o555))
	require.NoError(t, os.Mkdir(full, 0o755))
	require.NoError(t, open(t, full).Close())
	require.NoError(t, os.Chmod(filepath.Join(full, file), 0o444))
	before, err := os.ReadFile(filepath.Join(full, file))
	require.NoError(t, err)

	for _, dir := range []string{empty, full, filepath.Join(empty, "below")} {
		var err, checked error
		asNobody(func() {
			checked = durable.Check(dir)
			_, err = durable.Open(dir)
		})
		require.ErrorIs(t, err, fs.ErrPermission, dir)
		require.Equal(t, err.Error(), checked.Error())
	}
	after, err := os.ReadFile(filepath.Join(full, file))
	require.NoError(t, err)
	require.Equal(t, before, after)
	entries, err := os.ReadDir(empty)
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestAnotherOwner(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	dir := t.TempDir()
	require.NoError(t, open(t, dir).Close())
	path := filepath.Join(dir, file)
	require.NoError(t, os.Chown(path, 65534, 65534))
	refusesPermission(t, dir, path)
	require.NoError(t, os.Chown(dir, 65534, 65534))
	refusesPermission(t, dir, dir)
}
