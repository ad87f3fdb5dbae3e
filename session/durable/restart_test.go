package durable_test

import (
	"errors"
	"strconv"
	"testing"

	"securesocket/session/durable"

	"github.com/stretchr/testify/require"
)

func TestReopen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	for i := range 300 {
		key, value := numbered(i)
		require.NoError(t, s.Put("numbers", key, value))
	}
	require.NoError(t, s.Put("empty", "k", nil))
	require.NoError(t, s.Delete("empty", "k"))
	for range 3 {
		require.NoError(t, s.Close())
		s = open(t, dir)
		keys, err := s.Keys("numbers")
		require.NoError(t, err)
		require.Len(t, keys, 200)
		for i := 100; i < 300; i++ {
			key, want := numbered(i)
			got, err := s.Get("numbers", key)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
		keys, err = s.Keys("empty")
		require.NoError(t, err)
		require.Empty(t, keys)
		require.NoError(t, s.Put("numbers", "000100", []byte("again")))
		_, value := numbered(100)
		require.NoError(t, s.Put("numbers", "000100", value))
	}
}

// A process that is killed in the middle of its Puts leaves a file that opens, with all that was acknowledged.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for round := range 4 {
		lines, kill := start(t, dir)
		acknowledged := map[string]int{} // key: the last number that Put has returned for
		n := 0
		for lines.Scan() {
			acknowledged[lines.Text()] = n
			n++
			if n == 20+40*round {
				kill() // goes on to read what was said before
			}
		}
		require.GreaterOrEqual(t, n, 20+40*round)

		s := open(t, dir)
		for key, number := range acknowledged {
			value, err := s.Get("numbers", key)
			require.NoError(t, err)
			_, want := numbered(number)
			if _, next := numbered(n); string(value) != string(next) { // one more may have been on its way
				require.Equal(t, want, value, "round %d, key %s, of %d", round, key, n)
			}
		}
		require.NoError(t, s.Close())
	}
}

func TestAnotherProcessHoldsTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lines, kill := start(t, dir)
	_, err := durable.Open(dir)
	var held *durable.LockedError
	require.ErrorAs(t, err, &held)
	require.Contains(t, held.Path, dir)
	kill()
	n := 0
	for lines.Scan() { // it was not disturbed
		_, err := strconv.Atoi(lines.Text())
		require.NoError(t, err)
		n++
	}
	require.Positive(t, n)
	open(t, dir) // and has given the file free by dying
}

func TestOpenTwiceInOneProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	_, err := durable.Open(dir)
	var held *durable.LockedError
	require.ErrorAs(t, err, &held)
	require.NoError(t, s.Put("a", "k", nil), "the first is not disturbed")
}

// Two that start at once on an empty folder: one gets it, nobody destroys anything.
func TestCreatedOnce(t *testing.T) {
	t.Parallel()
	for range 5 {
		dir := t.TempDir()
		results := make(chan error, 2)
		for range 2 {
			go func() {
				s, err := durable.Open(dir)
				for errors.As(err, new(*durable.LockedError)) { // the disk is slow today
					s, err = durable.Open(dir)
				}
				if err == nil {
					err = s.Put("a", "k", []byte("kept"))
					_ = s.Close() // the other may wait for it
				}
				results <- err
			}()
		}
		for range 2 {
			require.NoError(t, <-results)
		}
		value, err := open(t, dir).Get("a", "k")
		require.NoError(t, err)
		require.Equal(t, []byte("kept"), value)
	}
}
