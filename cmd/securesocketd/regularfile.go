package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// maxRegularFile is more than any file of the operator's is let to have by who reads it.
const maxRegularFile = 8 << 20

var errNotRegular = errors.New("it is not a regular file")

// readRegular reads a file of the operator's that may change while the service runs. Nobody waits for who would write a
// pipe.
func readRegular(name string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) //nolint:gosec // the operator's own
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, errNotRegular), err)
	}
	return io.ReadAll(io.LimitReader(f, maxRegularFile))
}
