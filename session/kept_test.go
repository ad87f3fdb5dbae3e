package session

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/session/durable"
)

// slowStore waits before it writes one key.
type slowStore struct {
	durable.Store
	slow    string
	started chan struct{}
	release chan struct{}
	puts    int
}

func (s *slowStore) Put(bucket, key string, value []byte) error {
	if key == s.slow {
		close(s.started)
		<-s.release
	}
	s.puts++
	return s.Store.Put(bucket, key, value)
}

func texts(store durable.Store) *kept[string] {
	return &kept[string]{
		store: store, bucket: "texts",
		decode: func(b []byte) (string, error) { return string(b), nil },
		encode: func(s string) ([]byte, error) {
			if s == "" {
				return nil, nil
			}
			return []byte(s), nil
		},
	}
}

func to(text string) func(string) (string, error) {
	return func(string) (string, error) { return text, nil }
}

// While the disk takes what one owner changes, others read and change theirs.
func TestOneOwnersDiskHoldsUpNobody(t *testing.T) {
	t.Parallel()
	store := &slowStore{Store: durable.Memory(), slow: "slow", started: make(chan struct{}), release: make(chan struct{})}
	k := texts(store)
	done := make(chan error, 1)
	go func() { done <- k.change(nobody, "slow", to("new")) }()
	<-store.started
	v, err := k.get(nobody, "other")
	require.NoError(t, err)
	require.Empty(t, v)
	require.NoError(t, k.change(nobody, "other", to("mine")))
	select {
	case <-done:
		t.Fatal("the slow write has not been released")
	case <-time.After(10 * time.Millisecond):
	}
	close(store.release)
	require.NoError(t, <-done)
	v, err = k.get(nobody, "slow")
	require.NoError(t, err)
	require.Equal(t, "new", v)
}

func TestWhatChangesNothingIsNotWritten(t *testing.T) {
	t.Parallel()
	store := &slowStore{Store: durable.Memory()}
	k := texts(store)
	require.NoError(t, k.change(nobody, "a", to("x")))
	require.NoError(t, k.change(nobody, "a", func(string) (string, error) { return "", errUnchanged }))
	require.Equal(t, 1, store.puts)
	boom := errors.New("boom")
	require.ErrorIs(t, k.change(nobody, "a", func(string) (string, error) { return "y", boom }), boom)
	v, err := k.get(nobody, "a")
	require.NoError(t, err)
	require.Equal(t, "x", v)
	require.NoError(t, k.change(nobody, "a", to("")))
	v, err = texts(store).get(nobody, "a")
	require.NoError(t, err)
	require.Empty(t, v)
}
