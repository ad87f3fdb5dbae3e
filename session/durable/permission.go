package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// prepareDir makes the folder, or judges the one that is there.
func prepareDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		if info, lerr := os.Lstat(dir); lerr == nil && info.Mode()&fs.ModeSymlink != 0 {
			return &PermissionError{dir, "is a symbolic link: give the real path"}
		}
		return err
	}
	return checkOwner(dir, func() (os.FileInfo, error) { return os.Lstat(dir) })
}

// openFile opens what is at the path, and not what a link there leads to.
func openFile(path string) (*os.File, error) {
	// A FIFO would keep the open waiting for a writer; on a file O_NONBLOCK does nothing.
	file, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, &PermissionError{path, "is a symbolic link: put the file itself there"}
	}
	return file, err
}

// checkOwner refuses what others could have put there or written to.
func checkOwner(path string, stat func() (os.FileInfo, error)) error {
	info, err := stat()
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	switch mode := info.Mode(); {
	case mode&fs.ModeSymlink != 0:
		return &PermissionError{path, "is a symbolic link: give the real path"}
	case !mode.IsDir() && !mode.IsRegular():
		return &PermissionError{path, "is neither a folder nor a file"}
	case !ok || owner.Uid != 0 && int(owner.Uid) != os.Geteuid():
		return &PermissionError{path, fmt.Sprintf("does not belong to uid %d, nor to root: change its owner", os.Geteuid())}
	case mode.Perm()&0o022 != 0:
		return &PermissionError{path, fmt.Sprintf("has mode %#o, so that others can write to it: chmod go-w", mode.Perm())}
	}
	return nil
}
