//go:build unix

package hardening

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// noCore forbids core files. The hard limit goes with the soft one, or whoever gets to run code could raise it again.
func noCore() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbidding core files: %w", err)
	}
	return nil
}
