package hardening

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Descriptors counts the open descriptors of this process. It is made by [OpenDescriptors]. Its methods may run beside each
// other.
type Descriptors struct {
	mu  sync.Mutex
	dir *os.File // /proc/self/fd
}

// OpenDescriptors opens the directory that lists them, which takes one itself. That works before [Apply] whatever is mounted
// and whoever runs the process, and is of use afterwards, when no descriptor is left to open a directory with. The error
// is that of the system, as where /proc is not mounted; elsewhere than on Linux it is errors.ErrUnsupported.
func OpenDescriptors() (*Descriptors, error) {
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return nil, err
	}
	return &Descriptors{dir: dir}, nil
}

// Count returns how many descriptors are open. It opens none. After Close it returns os.ErrClosed.
func (d *Descriptors) Count() (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	info, err := d.dir.Stat()
	if err != nil {
		return 0, err
	}
	// Since Linux 6.2 the size is the number of entries.
	if size := info.Size(); size > 0 {
		return int(size), nil
	}
	return d.entriesLocked()
}

// entriesLocked counts one by one.
func (d *Descriptors) entriesLocked() (int, error) {
	const atOnce = 1024
	if _, err := d.dir.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	for count := 0; ; {
		names, err := d.dir.Readdirnames(atOnce)
		count += len(names)
		if errors.Is(err, io.EOF) {
			return count, nil
		}
		if err != nil {
			return 0, err
		}
	}
}

// Limit returns how many descriptors the process may have open, as it is now.
func (d *Descriptors) Limit() (int, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("the limit on descriptors: %w", err)
	}
	return int(min(limit.Cur, 1<<31-1)), nil //nolint:gosec // bounded
}

// Close ends the counting.
func (d *Descriptors) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dir.Close()
}
