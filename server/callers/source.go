package callers

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	pollEvery    = time.Second
	maxFileBytes = 4 << 20
	// settled is how old a change must be before a file's stamp tells it from the
	// next one: clocks of file systems are coarse.
	settled = 2 * time.Second
)

// FileError says what in which file cannot be used.
type FileError struct {
	// File is the path as it was given.
	File string
	// Line counts from 1; 0 where the whole file is meant.
	Line int
	// Why says what is wrong; it quotes nothing of the file.
	Why string
	// Err is the error below, or nil.
	Err error
}

func (e *FileError) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Why)
	}
	return fmt.Sprintf("%s: %s", e.File, e.Why)
}

// Unwrap returns Err.
func (e *FileError) Unwrap() error { return e.Err }

// source is a value that is made of files, and made anew when they change. Values
// are immutable; their address tells one from the next.
type source[T any] struct {
	paths []string
	parse func(contents [][]byte) (*T, error)
	log   *slog.Logger
	now   func() time.Time

	current atomic.Pointer[T]
	next    atomic.Int64 // when to look again, in Unix nanoseconds

	mu       sync.Mutex
	stamps   []stamp
	sum      [sha256.Size]byte // of what current was made of
	reported string            // the last error in the log
}

// stamp tells a file from what it was. Its zero value is like no file's.
type stamp struct {
	info os.FileInfo
}

func (s stamp) same(o stamp) bool {
	return s.info != nil && o.info != nil && os.SameFile(s.info, o.info) &&
		s.info.Size() == o.info.Size() && s.info.ModTime().Equal(o.info.ModTime())
}

// newSource reads the files for the first time.
func newSource[T any](log *slog.Logger, now func() time.Time, parse func([][]byte) (*T, error), paths ...string) (*source[T], error) {
	s := &source[T]{paths: paths, parse: parse, log: log, now: now}
	return s, s.reload()
}

// get returns the value in force, after a look at the files where one is due.
func (s *source[T]) get() *T {
	now, next := s.now().UnixNano(), s.next.Load()
	// A clock that was set back must not stop the looking.
	if now >= next || next-now > int64(pollEvery) {
		if s.next.CompareAndSwap(next, now+int64(pollEvery)) {
			s.poll()
		}
	}
	return s.current.Load()
}

// poll reads the files if they seem to have changed.
func (s *source[T]) poll() {
	if !s.mu.TryLock() {
		return // somebody is at it
	}
	defer s.mu.Unlock()
	if !slices.EqualFunc(s.stamps, stampsOf(s.paths), stamp.same) {
		_ = s.reloadLocked() // reported
	}
}

// reload reads the files. With an error the value in force stays.
func (s *source[T]) reload() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reloadLocked()
}

func (s *source[T]) reloadLocked() error {
	stamps := stampsOf(s.paths) // before reading: a change amid it is seen next time
	for i, st := range stamps {
		if st.info != nil && time.Since(st.info.ModTime()) < settled {
			stamps[i] = stamp{}
		}
	}
	s.stamps = stamps
	sum := sha256.New()
	contents := make([][]byte, len(s.paths))
	var errs []error
	for i, path := range s.paths {
		text, err := readFile(path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		contents[i] = text
		h := sha256.Sum256(text)
		_, _ = sum.Write(h[:])
	}
	if err := errors.Join(errs...); err != nil {
		return s.report(err)
	}
	first := s.current.Load() == nil
	if now := [sha256.Size]byte(sum.Sum(nil)); !first && now == s.sum {
		s.reported = ""
		return nil
	} else if value, err := s.parse(contents); err != nil {
		return s.report(err)
	} else {
		s.current.Store(value)
		s.sum, s.reported = now, ""
	}
	if !first {
		s.log.Info("files for authentication were read again", "files", s.paths)
	}
	return nil
}

// report logs an error once, until something else is wrong or all is well. The
// first reading is New's, which returns it.
func (s *source[T]) report(err error) error {
	s.stamps = nil // look again: what was wrong may mend without a new stamp
	if s.current.Load() != nil && s.reported != err.Error() {
		s.reported = err.Error()
		s.log.Error("a file for authentication cannot be used; what was read before stays in force", "error", err)
	}
	return err
}

func stampsOf(paths []string) []stamp {
	stamps := make([]stamp, len(paths))
	for i, path := range paths {
		if info, err := os.Stat(path); err == nil {
			stamps[i] = stamp{info}
		}
	}
	return stamps
}

func readFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would wait for who writes it
	if err != nil {
		var pe *os.PathError
		if errors.As(err, &pe) {
			err = pe.Err // the path is said already
		}
		return nil, &FileError{File: path, Why: "it cannot be read: " + err.Error(), Err: err}
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, &FileError{File: path, Why: "it is not a regular file", Err: err}
	}
	var text bytes.Buffer
	switch n, err := text.ReadFrom(io.LimitReader(f, maxFileBytes+1)); {
	case err != nil:
		return nil, &FileError{File: path, Why: "it cannot be read", Err: err}
	case n > maxFileBytes:
		return nil, &FileError{File: path, Why: "it is larger than 4 MiB"}
	}
	return text.Bytes(), nil
}
