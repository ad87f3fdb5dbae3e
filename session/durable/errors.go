package durable

import (
	"errors"
	"fmt"
)

// ErrNotFound says that no value is kept under the key.
var ErrNotFound = errors.New("durable: nothing is kept under this key")

// ErrClosed says that the store has been closed.
var ErrClosed = errors.New("durable: the store is closed")

// ArgumentError reports a folder, bucket, key or value outside its bounds. It does not repeat it.
type ArgumentError struct {
	What string // "folder", "bucket", "key" or "value"
	Why  string
}

func (e *ArgumentError) Error() string { return "durable: the " + e.What + " " + e.Why }

// LockedError reports that another process, or another Bolt of this one, has the file.
type LockedError struct{ Path string }

func (e *LockedError) Error() string {
	return fmt.Sprintf("durable: another process holds %s: stop it, or choose another folder", e.Path)
}

// PermissionError reports a folder or file that others could have written, so that what is in it means nothing.
type PermissionError struct {
	Path string
	Why  string
}

func (e *PermissionError) Error() string { return fmt.Sprintf("durable: %s %s", e.Path, e.Why) }

// CorruptError reports a file that is damaged, or was never of this program. It has not been changed.
type CorruptError struct {
	Path string
	Err  error // what is wrong with it
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("durable: %s is damaged (%v): move it away and start again with nothing kept, or put a copy of it in its place",
		e.Path, e.Err)
}

// Unwrap returns Err.
func (e *CorruptError) Unwrap() error { return e.Err }
