package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"securesocket/cmd/internal/daemonaddr"
)

// prepareDir makes the socket's folder, or checks the one that is there: nobody
// else may be able to replace the socket. It returns the folder's real path.
func prepareDir(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	if dir == daemonaddr.Dir() {
		return dir, daemonaddr.CheckDir(dir)
	}
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", err
	}
	for d := dir; ; d = filepath.Dir(d) {
		if err := checkParent(d); err != nil {
			return "", err
		}
		if d == filepath.Dir(d) {
			return dir, nil
		}
	}
}

// checkParent refuses a folder in which others could replace what is below it.
func checkParent(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() {
		return fmt.Errorf("%s is not a folder", dir)
	}
	if perm := info.Mode().Perm(); perm&0o022 != 0 && info.Mode()&os.ModeSticky == 0 {
		return fmt.Errorf("others can write to the folder %s (mode %#o) and could replace the socket: choose another folder, or take the right away", dir, perm)
	}
	if owner := int(st.Uid); owner != os.Geteuid() && owner != 0 {
		return fmt.Errorf("the folder %s belongs to uid %d, who could replace the socket: choose another folder", dir, owner)
	}
	return nil
}

// lockDir keeps another service from setting up a socket in the same folder
// meanwhile: it could take the new socket for a stale one.
func lockDir(dir string) (unlock func(), err error) {
	f, err := os.Open(dir) //nolint:gosec // the operator's own folder
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return func() { _ = f.Close() }, nil
}
