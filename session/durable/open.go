package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

const (
	fileName = "securesocket.db"
	newName  = fileName + ".new" // while it is being made
	lockWait = time.Second
	lockPoll = 20 * time.Millisecond
)

// Open opens the store in dir, and makes what is not there yet: the folder with mode 0700, the file securesocket.db in it
// with mode 0600. Folder and file must belong to this user or to root, must not be writable for others, and must not be
// symbolic links: give the real path. Open waits up to a second for another process to give the file free.
//
// The error is an *ArgumentError, a *PermissionError, a *LockedError, a *CorruptError or a *DiskError.
func Open(dir string) (*Bolt, error) {
	s, err := openIn(dir)
	return s, openError(filepath.Join(dir, fileName), err)
}

// openError makes a DiskError of what the operating system and bbolt say.
func openError(path string, err error) error {
	switch err.(type) { //nolint:errorlint // as this package made it
	case nil, *ArgumentError, *PermissionError, *LockedError, *CorruptError:
		return err
	}
	return &DiskError{path, err}
}

func openIn(dir string) (*Bolt, error) {
	if dir == "" {
		return nil, &ArgumentError{"folder", "has no name"}
	}
	dir = filepath.Clean(dir) // a slash at the end would follow a link
	if err := prepareDir(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, fileName)
	file, err := openFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := create(dir); err != nil {
			return nil, err
		}
		file, err = openFile(path)
	}
	if err != nil {
		return nil, err
	}
	db, err := open(path, file)
	if err != nil {
		// bbolt may have given up on its way, with the file mapped: closing it would not end the lock.
		_ = syscall.Flock(int(file.Fd()), syscall.LOCK_UN)
		_ = file.Close()
		return nil, err
	}
	return &Bolt{path: path, db: db}, nil
}

// open examines the file under the lock that bbolt then shares: the lock belongs to the open file.
func open(path string, file *os.File) (db *bbolt.DB, err error) {
	if err := checkOwner(path, file.Stat); err != nil {
		return nil, err
	}
	if err := lock(path, file); err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if err := examine(file, info.Size()); err != nil {
		if _, ok := errors.AsType[*fs.PathError](err); ok {
			return nil, err // the disk, rather than what is on it
		}
		return nil, &CorruptError{path, err}
	}
	err = guard(path, func() error {
		db, err = bbolt.Open(path, 0o600, options(file))
		return err
	})
	switch {
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return nil, &CorruptError{path, err}
	case err != nil:
		return nil, err
	}
	return db, nil
}

func options(file *os.File) *bbolt.Options {
	return &bbolt.Options{
		Timeout:      lockWait,
		FreelistType: bbolt.FreelistMapType,
		MaxSize:      MaxFileBytes,
		NoStatistics: true,
		OpenFile:     func(string, int, os.FileMode) (*os.File, error) { return file, nil },
	}
}

// create makes the file under another name and moves it into place when it is whole, so that an empty or short
// securesocket.db is always one that lost something. The lock of the folder keeps two processes from making it at once.
func create(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	path := filepath.Join(dir, fileName)
	if err := lock(path, folder); err != nil {
		return err
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err // another process has made it: nil
	}
	unfinished := filepath.Join(dir, newName)
	if err := os.Remove(unfinished); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(unfinished, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	db, err := bbolt.Open(unfinished, 0o600, options(file))
	if err != nil {
		_ = file.Close()
		return err
	}
	if err := db.Close(); err != nil {
		return err
	}
	if err := os.Rename(unfinished, path); err != nil {
		return err
	}
	// Or the name could be lost with the power, and all values with it; so could that of the folder, if it is new.
	if above, err := os.Open(filepath.Dir(dir)); err == nil {
		_ = above.Sync() // if it may not be read, somebody else has made the folder
		_ = above.Close()
	}
	return folder.Sync()
}

// lock takes the lock that bbolt takes, on the open file itself.
func lock(path string, file *os.File) error {
	deadline := time.Now().Add(lockWait)
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, syscall.EINTR):
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return &fs.PathError{Op: "flock", Path: path, Err: err}
		case !time.Now().Before(deadline):
			return &LockedError{path}
		default:
			time.Sleep(lockPoll)
		}
	}
}
