// Package daemonaddr knows where the service listens when nobody says
// otherwise, for the daemon and for the command line alike.
package daemonaddr

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Dir is the folder of the default socket: it belongs to this user alone.
func Dir() string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "securesocket")
	}
	return fmt.Sprintf("/tmp/securesocket-%d", os.Geteuid())
}

// Default is the default address.
func Default() string { return "unix://" + filepath.Join(Dir(), "s.sock") }

// CheckDir refuses a folder of the default socket that is not this user's
// alone: without XDG_RUNTIME_DIR anybody could have made it, and would see, or
// forge, everything.
func CheckDir(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() {
		return fmt.Errorf("%s is not a folder", dir)
	}
	if owner, perm := int(st.Uid), info.Mode().Perm(); owner != os.Geteuid() || perm&0o077 != 0 {
		return fmt.Errorf("the folder %s has mode %#o and belongs to uid %d; it has to have mode 0700 and belong to uid %d: remove it, or choose another address", dir, perm, owner, os.Geteuid())
	}
	return nil
}
