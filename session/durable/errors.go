package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	berrors "go.etcd.io/bbolt/errors"
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

// DiskError reports that the machine does not let the file be opened, made or written: its disk is full, the user's quota
// is used up, the file system is read-only, or it may not. What was kept before is kept still, the value that was to be
// kept is not, and once the operator has mended it the next Put succeeds. Only where the disk itself fails is it known no
// sooner than at the next Open which of the two values is kept.
type DiskError struct {
	Path string
	Err  error // of the operating system or of bbolt; it does not name the value
}

func (e *DiskError) Error() string {
	text := fmt.Sprintf("durable: %s: %v", e.Path, e.Err)
	if _, ok := errors.AsType[*fs.PathError](e.Err); ok || strings.Contains(e.Err.Error(), e.Path) { // it names what it is about
		text = "durable: " + e.Err.Error()
	}
	for _, m := range mends {
		// bbolt keeps no more than the text of a failed ftruncate(2).
		if errors.Is(e.Err, m.err) || strings.HasSuffix(e.Err.Error(), ": "+m.err.Error()) {
			return text + ": " + m.remedy
		}
	}
	return text
}

// Unwrap returns Err.
func (e *DiskError) Unwrap() error { return e.Err }

// mends is what helps against the errors that an operator may meet.
var mends = []struct {
	err    error
	remedy string
}{
	{syscall.ENOSPC, "make room on its file system"},
	{syscall.EDQUOT, "raise the disk quota of the user that runs the service, or remove other files of his"},
	{syscall.EFBIG, "raise the limit of the size of files (RLIMIT_FSIZE, LimitFSIZE of systemd)"},
	{syscall.EROFS, "mount its file system for writing, or choose another folder"},
	{syscall.EACCES, "let the user that runs the service write there, or choose another folder"},
	{syscall.EPERM, "let the user that runs the service write there, or choose another folder"},
	{syscall.EMFILE, "raise the limit of descriptors (RLIMIT_NOFILE, LimitNOFILE of systemd)"},
	{syscall.ENFILE, "raise the machine's limit of open files (fs.file-max)"},
	{syscall.EIO, "see what the kernel's log says about the disk"},
	{berrors.ErrMaxSizeReached, "it has all the data that is kept; have callers remove some of theirs"},
}
