package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// maxRegularFile is more than any file of the operator's is let to have by who reads it.
const maxRegularFile = 8 << 20

var (
	errNotRegular = errors.New("it is not a regular file")
	errTooLarge   = errors.New("it is larger than 8 MiB")
)

// readRegular reads a file of the operator's. Nobody waits for who would write a
// pipe.
func readRegular(name string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) //nolint:gosec // the operator's own
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, errNotRegular), err)
	}
	if info.Size() > maxRegularFile {
		return nil, fmt.Errorf("%s: %w", name, errTooLarge)
	}
	// Of a key there is no second copy, which a buffer that grows would leave.
	text := bytes.NewBuffer(make([]byte, 0, info.Size()+bytes.MinRead))
	_, err = text.ReadFrom(io.LimitReader(f, maxRegularFile))
	return text.Bytes(), err
}
