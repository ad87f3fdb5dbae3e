package hardening

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Apply hardens this process, for good: nobody in it may undo that, and a program that it starts has the limit too. To call
// it again changes nothing.
func Apply() error {
	// Before the limit, which a collector of core files does not ask for (core(5)).
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("making the process not dumpable: %w", err)
	}
	return noCore()
}
