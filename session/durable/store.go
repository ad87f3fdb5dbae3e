package durable

import "fmt"

// Bounds of what is kept.
const (
	MaxValueBytes  = 4 << 20
	MaxKeyBytes    = 512
	MaxBucketBytes = 64
	MaxFileBytes   = 1 << 30 // a Put that would need more fails with a DiskError
)

// Store keeps values by bucket and key. A bucket is a name that the program chooses, of lower-case letters, digits, "_"
// and "-"; it is there with its first value. A key is any 1 to 512 bytes. Implementations are [Bolt] and [Mem].
type Store interface {
	// Get returns the value, which is the caller's own and not nil, or ErrNotFound.
	Get(bucket, key string) ([]byte, error)
	// Put keeps the value in place of any other, and returns when it is durable. It does not keep the slice.
	Put(bucket, key string, value []byte) error
	// Delete forgets the value, durably. It is no error when there is none.
	Delete(bucket, key string) error
	// Keys returns the keys of a bucket in bytewise order.
	Keys(bucket string) ([]string, error)
	// Close waits for the calls that run and gives the file free. Later calls have ErrClosed; Close again has nil.
	Close() error
}

func checkBucket(bucket string) error {
	if len(bucket) == 0 || len(bucket) > MaxBucketBytes {
		return &ArgumentError{"bucket", fmt.Sprintf("has %d bytes, want 1 to %d", len(bucket), MaxBucketBytes)}
	}
	for _, c := range []byte(bucket) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return &ArgumentError{"bucket", "is not of lower-case letters, digits, _ and -"}
		}
	}
	return nil
}

func checkEntry(bucket, key string, value []byte) error {
	if err := checkBucket(bucket); err != nil {
		return err
	}
	if len(key) == 0 || len(key) > MaxKeyBytes {
		return &ArgumentError{"key", fmt.Sprintf("has %d bytes, want 1 to %d", len(key), MaxKeyBytes)}
	}
	if len(value) > MaxValueBytes {
		return &ArgumentError{"value", fmt.Sprintf("has %d bytes, at most %d are kept", len(value), MaxValueBytes)}
	}
	return nil
}
