package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

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
	return checkFolders(dir)
}

// checkFolders judges a folder and those above it, and returns its real path.
func checkFolders(dir string) (string, error) {
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

// checkSockets says what prepareDir would of the folders of all sockets, as far as they are there.
func checkSockets(s settings) error {
	var errs []error
	for _, at := range append(slices.Clone(s.Listen), s.Admin.Listen) {
		path, ok := strings.CutPrefix(at, "unix://")
		if !ok {
			continue
		}
		if err := checkSocketDir(path); err != nil && at == s.Admin.Listen {
			errs = append(errs, s.blame("admin.listen", err))
		} else if err != nil {
			errs = append(errs, s.blameItem("listen", at, err))
		}
	}
	return errors.Join(errs...)
}

func checkSocketDir(path string) error {
	dir := filepath.Dir(path)
	there, below := dir, dir
	info, err := os.Stat(there)
	for err != nil && there != filepath.Dir(there) { // it will be made
		there, below = filepath.Dir(there), there
		info, err = os.Stat(there)
	}
	if err == nil && !info.IsDir() {
		err = &os.PathError{Op: "mkdir", Path: there, Err: syscall.ENOTDIR}
	}
	if own := dir == daemonaddr.Dir(); err == nil && own && there == dir {
		err = daemonaddr.CheckDir(dir)
	} else if err == nil && !own {
		_, err = checkFolders(there)
	}
	if err != nil {
		return err
	}
	err = unix.Faccessat(unix.AT_FDCWD, there, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
	switch {
	case err != nil && there != dir:
		return &os.PathError{Op: "mkdir", Path: below, Err: err}
	case err != nil:
		return &net.OpError{Op: "listen", Net: "unix", Addr: &net.UnixAddr{Name: path, Net: "unix"}, Err: os.NewSyscallError("bind", err)}
	}
	return nil
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
