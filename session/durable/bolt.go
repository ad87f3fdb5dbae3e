package durable

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"runtime/debug"
	"sync/atomic"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// Bolt is a Store in one file, made by Open.
type Bolt struct {
	path   string
	db     *bbolt.DB
	broken atomic.Pointer[CorruptError] // the file changed under us; bbolt's locks may be held for ever
}

// Get implements Store.
func (s *Bolt) Get(bucket, key string) (value []byte, err error) {
	if err := checkEntry(bucket, key, nil); err != nil {
		return nil, err
	}
	err = s.do(s.db.View, func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		if b == nil {
			return ErrNotFound
		}
		sealed := b.Get([]byte(key))
		if sealed == nil {
			return ErrNotFound
		}
		kept, ok := unseal(bucket, key, sealed)
		if !ok {
			return &CorruptError{s.path, errChecksum}
		}
		value = append([]byte{}, kept...) // it is the file's, until the transaction ends
		return nil
	})
	return value, err
}

// Put implements Store.
func (s *Bolt) Put(bucket, key string, value []byte) error {
	if err := checkEntry(bucket, key, value); err != nil {
		return err
	}
	sealed := seal(bucket, key, value)
	return s.do(s.db.Update, func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(bucket))
		if err != nil {
			return err
		}
		return b.Put([]byte(key), sealed)
	})
}

// Delete implements Store.
func (s *Bolt) Delete(bucket, key string) error {
	if err := checkEntry(bucket, key, nil); err != nil {
		return err
	}
	err := s.do(s.db.Update, func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		if b == nil || b.Get([]byte(key)) == nil {
			return ErrNotFound // rolled back: nothing to write
		}
		return b.Delete([]byte(key))
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// Keys implements Store.
func (s *Bolt) Keys(bucket string) (keys []string, err error) {
	if err := checkBucket(bucket); err != nil {
		return nil, err
	}
	err = s.do(s.db.View, func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		if b == nil {
			return nil
		}
		return b.ForEach(func(key, _ []byte) error {
			keys = append(keys, string(key))
			return nil
		})
	})
	return keys, err
}

// Close implements Store.
func (s *Bolt) Close() error {
	if s.broken.Load() != nil {
		return nil // bbolt would wait for ever; the end of the process gives the file free
	}
	return guard(s.path, s.db.Close)
}

// do runs one transaction and converts its error.
func (s *Bolt) do(begin func(func(*bbolt.Tx) error) error, work func(*bbolt.Tx) error) error {
	if bad := s.broken.Load(); bad != nil {
		return bad
	}
	err := guard(s.path, func() error { return begin(work) })
	if bad, ok := errors.AsType[*CorruptError](err); ok {
		if errors.Is(bad, errPanicked) {
			s.broken.Store(bad)
		}
		return bad
	}
	switch {
	case err == nil || errors.Is(err, ErrNotFound):
		return err
	case errors.Is(err, berrors.ErrDatabaseNotOpen):
		return ErrClosed
	}
	return &DiskError{s.path, err}
}

var (
	errPanicked = errors.New("it cannot be read as what it was")
	errChecksum = errors.New("the checksum of a value does not match")
)

// guard makes errors of bbolt's panics, and of faults in the mapped file. The file was examined as it was opened, so there
// are none unless somebody cuts or overwrites it while it is in use; that must not end every session.
func guard(path string, f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = &CorruptError{path, fmt.Errorf("%w: %.200v", errPanicked, r)}
		}
	}()
	return f()
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal puts a checksum before the value. It covers where the value is kept, too: bbolt has none for its pages.
func seal(bucket, key string, value []byte) []byte {
	sealed := make([]byte, 4, 4+len(value))
	binary.BigEndian.PutUint32(sealed, checksum(bucket, key, value))
	return append(sealed, value...)
}

// unseal returns the value within sealed.
func unseal(bucket, key string, sealed []byte) (value []byte, ok bool) {
	if len(sealed) < 4 {
		return nil, false
	}
	value = sealed[4:]
	return value, binary.BigEndian.Uint32(sealed) == checksum(bucket, key, value)
}

func checksum(bucket, key string, value []byte) uint32 {
	sum := crc32.Checksum([]byte(bucket+"\x00"+key+"\x00"), castagnoli) // no bucket has a zero byte
	return crc32.Update(sum, castagnoli, value)
}
