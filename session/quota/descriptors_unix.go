//go:build unix

package quota

import (
	"os"
	"syscall"
)

// mostDescriptors stands for what is not limited: the most that Linux allows by
// default.
const mostDescriptors = 1 << 20

// descriptorLimit is what the process may have open. At start, Go's os package has
// already raised it as far as it may.
func descriptorLimit() int64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return int64(min(uint64(limit.Cur), mostDescriptors)) //nolint:gosec,unconvert // bounded; signed on some systems
}

// openDescriptors is how many are open now, that of the listing included; 0 where
// that cannot be seen.
func openDescriptors() int64 {
	for _, dir := range []string{"/proc/self/fd", "/dev/fd"} {
		if entries, err := os.ReadDir(dir); err == nil {
			return int64(len(entries))
		}
	}
	return 0
}
