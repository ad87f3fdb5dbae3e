package durable_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"securesocket/session/durable"

	"github.com/stretchr/testify/require"
)

// both runs a test against each implementation.
func both(t *testing.T, run func(t *testing.T, s durable.Store)) {
	t.Helper()
	t.Run("file", func(t *testing.T) {
		t.Parallel()
		run(t, open(t, filepath.Join(t.TempDir(), "a", "b")))
	})
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		run(t, durable.Memory())
	})
}

func TestStore(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s durable.Store) {
		_, err := s.Get("a", "one")
		require.ErrorIs(t, err, durable.ErrNotFound)
		keys, err := s.Keys("a")
		require.NoError(t, err)
		require.Empty(t, keys)
		require.NoError(t, s.Delete("a", "one"))

		given := []byte("1")
		require.NoError(t, s.Put("a", "one", given))
		given[0] = 'x'
		require.NoError(t, s.Put("a", "\x00\xff", nil))
		require.NoError(t, s.Put("b", "one", []byte("2")))
		got, err := s.Get("a", "one")
		require.NoError(t, err)
		require.Equal(t, []byte("1"), got)
		got[0] = 'x'
		got, err = s.Get("a", "one")
		require.NoError(t, err)
		require.Equal(t, []byte("1"), got, "the slices of callers are their own")
		got, err = s.Get("a", "\x00\xff")
		require.NoError(t, err)
		require.NotNil(t, got)
		require.Empty(t, got)
		keys, err = s.Keys("a")
		require.NoError(t, err)
		require.Equal(t, []string{"\x00\xff", "one"}, keys)

		require.NoError(t, s.Put("a", "one", []byte("3")))
		require.NoError(t, s.Delete("b", "one"))
		_, err = s.Get("b", "one")
		require.ErrorIs(t, err, durable.ErrNotFound)
		got, err = s.Get("a", "one")
		require.NoError(t, err)
		require.Equal(t, []byte("3"), got)
	})
}

func TestStoreBounds(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s durable.Store) {
		refused := func(err error, what string) {
			t.Helper()
			var bad *durable.ArgumentError
			require.ErrorAs(t, err, &bad)
			require.Equal(t, what, bad.What)
		}
		for _, bucket := range []string{"", "A", "a/b", "a\x00", strings.Repeat("a", durable.MaxBucketBytes+1)} {
			refused(s.Put(bucket, "k", nil), "bucket")
			refused(s.Delete(bucket, "k"), "bucket")
			_, err := s.Get(bucket, "k")
			refused(err, "bucket")
			_, err = s.Keys(bucket)
			refused(err, "bucket")
		}
		for _, key := range []string{"", strings.Repeat("k", durable.MaxKeyBytes+1)} {
			refused(s.Put("a", key, nil), "key")
			refused(s.Delete("a", key), "key")
			_, err := s.Get("a", key)
			refused(err, "key")
		}
		refused(s.Put("a", "k", make([]byte, durable.MaxValueBytes+1)), "value")

		bucket, key := strings.Repeat("a", durable.MaxBucketBytes), strings.Repeat("k", durable.MaxKeyBytes)
		value := bytes.Repeat([]byte("v"), durable.MaxValueBytes)
		require.NoError(t, s.Put(bucket, key, value))
		got, err := s.Get(bucket, key)
		require.NoError(t, err)
		require.True(t, bytes.Equal(value, got))
	})
}

func TestStoreClosed(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s durable.Store) {
		require.NoError(t, s.Put("a", "k", nil))
		require.NoError(t, s.Close())
		require.NoError(t, s.Close())
		require.ErrorIs(t, s.Put("a", "k", nil), durable.ErrClosed)
		require.ErrorIs(t, s.Delete("a", "k"), durable.ErrClosed)
		_, err := s.Get("a", "k")
		require.ErrorIs(t, err, durable.ErrClosed)
		_, err = s.Keys("a")
		require.ErrorIs(t, err, durable.ErrClosed)
	})
}

func TestStoreConcurrent(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s durable.Store) {
		var wg sync.WaitGroup
		for w := range 4 {
			key := fmt.Sprint(w)
			wg.Go(func() {
				for i := range 20 {
					if err := s.Put("a", key, bytes.Repeat([]byte{byte(i)}, i*500)); err != nil {
						t.Error(err)
					}
					if i%5 == 4 {
						if err := s.Delete("a", key); err != nil {
							t.Error(err)
						}
					}
				}
			})
			wg.Go(func() {
				for range 200 {
					value, err := s.Get("a", key)
					if err == nil && len(value) > 0 && len(value) != int(value[0])*500 {
						t.Errorf("half a value: %d bytes of %d", len(value), value[0])
					}
					if _, err := s.Keys("a"); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		keys, err := s.Keys("a")
		require.NoError(t, err)
		require.Empty(t, keys)
	})
}
