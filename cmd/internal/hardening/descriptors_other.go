//go:build !linux

package hardening

import "errors"

// Descriptors counts the open descriptors of this process, on Linux.
type Descriptors struct{}

// OpenDescriptors returns errors.ErrUnsupported.
func OpenDescriptors() (*Descriptors, error) { return nil, errors.ErrUnsupported }

// Count returns errors.ErrUnsupported.
func (*Descriptors) Count() (int, error) { return 0, errors.ErrUnsupported }

// Limit returns errors.ErrUnsupported.
func (*Descriptors) Limit() (int, error) { return 0, errors.ErrUnsupported }

// Close does nothing.
func (*Descriptors) Close() error { return nil }
