package durable_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"securesocket/session/durable"

	"github.com/stretchr/testify/require"
)

var page = os.Getpagesize()

// filled returns the bytes of a file with values of all sizes, and what is in it.
func filled(t testing.TB) (content []byte, want map[string][]byte) {
	t.Helper()
	dir := t.TempDir()
	s, err := durable.Open(dir)
	require.NoError(t, err)
	want = map[string][]byte{}
	for i := range 60 {
		key, value := numbered(i)
		want[key] = value
		require.NoError(t, s.Put("numbers", key, value))
	}
	require.NoError(t, s.Put("small", "k", []byte("inline")))
	require.NoError(t, s.Delete("numbers", "000003"))
	delete(want, "000003")
	require.NoError(t, s.Close())
	content, err = os.ReadFile(filepath.Join(dir, file))
	require.NoError(t, err)
	return content, want
}

// opened opens a store with this content. The content must not be touched when it is refused.
func opened(t *testing.T, content []byte) (*durable.Bolt, error) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, file)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	s, err := durable.Open(dir)
	if err != nil {
		var bad *durable.CorruptError
		require.ErrorAs(t, err, &bad)
		require.Equal(t, path, bad.Path)
		after, err := os.ReadFile(path)
		require.NoError(t, err)
		require.True(t, bytes.Equal(content, after), "it was changed")
		// The lock is given free, too.
		_, err = durable.Open(dir)
		require.ErrorAs(t, err, &bad)
	}
	return s, err
}

func TestCorrupt(t *testing.T) {
	t.Parallel()
	content, _ := filled(t)
	change := func(f func(b []byte)) []byte {
		b := bytes.Clone(content)
		f(b)
		return b
	}
	sealed := []byte("inline") // in every copy of the page, of which one is in use
	key := content[bytes.Index(content, sealed)-5:][:11]
	for name, b := range map[string][]byte{
		"empty":         nil,
		"one byte":      {0},
		"text":          []byte("hello\n"),
		"zeros":         make([]byte, len(content)),
		"garbage":       change(func(b []byte) { rand.NewChaCha8([32]byte{}).Read(b) }),
		"garbage first": change(func(b []byte) { rand.NewChaCha8([32]byte{}).Read(b[:2*page]) }),
		"cut in half":   content[:len(content)/2],
		"cut to header": content[:2*page],
		"both headers":  change(func(b []byte) { b[32]++; b[page+32]++ }),
		"no pages":      change(func(b []byte) { clear(b[2*page:]) }),
		"a value":       bytes.ReplaceAll(content, sealed, []byte("Inline")),
		"a key":         bytes.ReplaceAll(content, key, append([]byte("l"), key[1:]...)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := opened(t, b)
			require.Error(t, err)
		})
	}
	t.Run("what it was made from", func(t *testing.T) {
		t.Parallel()
		s, err := opened(t, content)
		require.NoError(t, err)
		require.NoError(t, s.Close())
	})
}

// One bad header is what a crash leaves: the other one is taken, and the store works.
func TestOneHeader(t *testing.T) {
	t.Parallel()
	content, want := filled(t)
	for _, at := range []int{0, page} {
		b := bytes.Clone(content)
		clear(b[at : at+page])
		s, err := opened(t, b)
		require.NoError(t, err)
		for key, value := range want {
			got, err := s.Get("numbers", key)
			require.NoError(t, err)
			require.Equal(t, value, got)
		}
		require.NoError(t, s.Put("numbers", "000003", []byte("again")))
		require.NoError(t, s.Close())
	}
}

// Damage anywhere is refused, or has hit what is not in use; it never ends the process, and never changes a value.
func TestDamagedAnywhere(t *testing.T) {
	t.Parallel()
	content, want := filled(t)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 300 {
		b := bytes.Clone(content)
		switch i % 3 {
		case 0:
			b = b[:random.IntN(len(b))]
		case 1:
			b[random.IntN(len(b))] ^= 1 << random.IntN(8)
		default: // the heads of pages, where it hurts
			b[random.IntN(len(b)/page)*page+random.IntN(200)] = byte(random.Uint32())
		}
		s, err := opened(t, b)
		if err != nil {
			continue
		}
		keys, err := s.Keys("numbers")
		require.NoError(t, err)
		for _, key := range keys {
			got, err := s.Get("numbers", key)
			require.NoError(t, err)
			if key != "000003" { // is back when the newest header was hit
				require.Equal(t, want[key], got)
			}
		}
		require.GreaterOrEqual(t, len(keys), len(want))
		require.NoError(t, s.Put("numbers", "another", make([]byte, 3*page)))
		require.NoError(t, s.Close())
	}
}

// A file that is cut while it is in use is an error of each call, and not the end of the process.
func TestCutWhileInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	require.NoError(t, s.Put("a", "k", make([]byte, 100*page)))
	require.NoError(t, os.Truncate(filepath.Join(dir, file), 0))
	_, err := s.Get("a", "k")
	var bad *durable.CorruptError
	require.ErrorAs(t, err, &bad)
	err = s.Put("a", "k", nil)
	require.True(t, errors.As(err, &bad), "%v", err)
}
