package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Check says what Open would, as far as it shows without a change: whether the folder and the file are there or can be
// made, are this user's alone to write, and are whole. It may run beside a service that has the file, and then trusts it
// to have examined it. Its errors are those of Open, but for LockedError.
func Check(dir string) error {
	if dir == "" {
		return &ArgumentError{"folder", "has no name"}
	}
	dir = filepath.Clean(dir)
	path := filepath.Join(dir, fileName)
	return openError(path, check(dir, path))
}

func check(dir, path string) error {
	made, err := folderThere(dir)
	if err != nil || !made {
		return err
	}
	file, err := openFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return mayWrite("open", filepath.Join(dir, newName), dir)
	}
	if err != nil {
		return err
	}
	defer file.Close()
	if err := checkOwner(path, file.Stat); err != nil {
		return err
	}
	// Shared, so that whoever else checks is not in the way; a service that starts meanwhile waits.
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); err != nil {
		return nil // a service has it
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if err := examine(file, info.Size()); err != nil {
		if _, ok := errors.AsType[*fs.PathError](err); ok {
			return err
		}
		return &CorruptError{path, err}
	}
	return nil
}

// folderThere judges the folder as prepareDir does, or whether it can be made.
func folderThere(dir string) (bool, error) {
	info, err := os.Lstat(dir)
	if err == nil {
		if !info.IsDir() && info.Mode()&fs.ModeSymlink == 0 {
			return false, &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
		}
		return true, checkOwner(dir, func() (fs.FileInfo, error) { return info, nil })
	}
	below := dir
	for err != nil && dir != filepath.Dir(dir) { // as MkdirAll does
		below, dir = dir, filepath.Dir(dir)
		info, err = os.Stat(dir)
	}
	switch {
	case err != nil:
		return false, err
	case !info.IsDir():
		return false, &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
	}
	return false, mayWrite("mkdir", below, dir)
}

// mayWrite returns the error that making path in dir would have.
func mayWrite(op, path, dir string) error {
	if err := unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		return &fs.PathError{Op: op, Path: path, Err: err}
	}
	return nil
}
