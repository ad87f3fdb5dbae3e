// Package daemonaddr knows where the service listens when nobody says
// otherwise, for the daemon and for the command line alike.
package daemonaddr

import (
	"fmt"
	"os"
	"path/filepath"
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
