package durable_test

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"securesocket/session/durable"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// onSmallDisk runs f with a file system of some bytes, which nobody else sees.
func onSmallDisk(t *testing.T, options string, f func(dir string)) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a file system")
	}
	dir := t.TempDir()
	done, skip := make(chan struct{}), ""
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never given back: it ends with the goroutine, and so does its view of the files
		if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
			skip = "no mount namespace: " + err.Error()
			return
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			skip = "no private mounts: " + err.Error()
			return
		}
		if err := unix.Mount("small", dir, "tmpfs", 0, options); err != nil {
			skip = "no tmpfs: " + err.Error()
			return
		}
		f(dir)
	}()
	<-done
	if skip != "" {
		t.Skip(skip)
	}
}

func requireDisk(t *testing.T, err error) {
	t.Helper()
	var disk *durable.DiskError
	require.ErrorAs(t, err, &disk)
}

// What was kept before the disk was full is kept, and there is nothing of what found no room.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	onSmallDisk(t, "size=256k,mode=0700", func(top string) {
		dir, ballast := filepath.Join(top, "d"), filepath.Join(top, "ballast")
		s, err := durable.Open(dir)
		require.NoError(t, err)
		require.NoError(t, s.Put("a", "old", []byte("old")))
		big := bytes.Repeat([]byte("x"), 100<<10)
		require.NoError(t, s.Put("a", "big", big))

		file, err := os.Create(ballast)
		require.NoError(t, err)
		for err == nil {
			_, err = file.Write(make([]byte, 4096))
		}
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.NoError(t, file.Close())

		for range 3 {
			requireDisk(t, s.Put("a", "big", bytes.Repeat([]byte("y"), 120<<10)))
			requireDisk(t, s.Put("b", "new", bytes.Repeat([]byte("z"), 120<<10)))
		}
		kept := func() {
			got, err := s.Get("a", "big")
			require.NoError(t, err)
			require.Equal(t, big, got)
			got, err = s.Get("a", "old")
			require.NoError(t, err)
			require.Equal(t, []byte("old"), got)
			keys, err := s.Keys("b")
			require.NoError(t, err)
			require.Empty(t, keys)
		}
		kept()
		require.NoError(t, s.Close())
		s, err = durable.Open(dir)
		require.NoError(t, err, "it opens while the disk is full")
		kept()

		require.NoError(t, os.Remove(ballast))
		require.NoError(t, s.Put("b", "new", []byte("n")), "once there is room")
		require.NoError(t, s.Close())
	})
}

func TestFullDiskAtTheFirstStart(t *testing.T) {
	t.Parallel()
	onSmallDisk(t, "size=8k,mode=0700", func(top string) {
		dir := filepath.Join(top, "d")
		_, err := durable.Open(dir)
		requireDisk(t, err)
		require.NoFileExists(t, filepath.Join(dir, file))
		require.NoError(t, unix.Mount("small", top, "", unix.MS_REMOUNT, "size=256k"))
		s, err := durable.Open(dir)
		require.NoError(t, err, "what was begun is in nobody's way")
		require.NoError(t, s.Close())
	})
}

func TestReadOnlyFileSystem(t *testing.T) {
	t.Parallel()
	onSmallDisk(t, "size=256k,mode=0700", func(top string) {
		dir := filepath.Join(top, "d")
		s, err := durable.Open(dir)
		require.NoError(t, err)
		require.NoError(t, s.Close())
		require.NoError(t, unix.Mount("small", top, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
		for _, d := range []string{dir, filepath.Join(top, "new")} {
			_, err = durable.Open(d)
			requireDisk(t, err)
			require.ErrorIs(t, err, syscall.EROFS)
		}
	})
}

// Every error that is known by name says what mends it, also where its number was lost.
func TestDiskErrorsSayWhatMendsThem(t *testing.T) {
	t.Parallel()
	for _, number := range []syscall.Errno{
		syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, syscall.EROFS, syscall.EACCES, syscall.EPERM, syscall.EMFILE, syscall.ENFILE, syscall.EIO,
	} {
		with := (&durable.DiskError{Path: "/p", Err: &os.PathError{Op: "write", Path: "/p", Err: number}}).Error()
		lost := (&durable.DiskError{Path: "/p", Err: &textError{"file resize error: truncate /p: " + number.Error()}}).Error()
		require.Equal(t, with[len("durable: write /p: "):], lost[len("durable: file resize error: truncate /p: "):])
		require.Greater(t, len(with), len("durable: write /p: "+number.Error()+": "))
	}
}

type textError struct{ text string }

func (e *textError) Error() string { return e.text }
