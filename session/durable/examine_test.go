package durable

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// contentOf is a file with n values, so that there are branches from some hundred on.
func contentOf(tb testing.TB, n, size int) []byte {
	tb.Helper()
	dir := tb.TempDir()
	s, err := Open(dir)
	require.NoError(tb, err)
	s.db.NoSync = true
	for i := range n {
		require.NoError(tb, s.Put("b", fmt.Sprintf("key %d", i), bytes.Repeat([]byte{byte(i)}, size)))
	}
	require.NoError(tb, s.Close())
	content, err := os.ReadFile(filepath.Join(dir, fileName))
	require.NoError(tb, err)
	return content
}

// What bbolt leaves behind is found in order at any moment, with keys that come and go.
func TestExamineAcceptsBolt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(dir)
	require.NoError(t, err)
	s.db.NoSync = true
	random := rand.New(rand.NewPCG(3, 4))
	for i := range 1500 {
		bucket, key := fmt.Sprint("b", random.IntN(4)), fmt.Sprint(random.IntN(400))
		if i/300%2 == 1 && random.IntN(4) > 0 {
			require.NoError(t, s.Delete(bucket, key))
		} else {
			require.NoError(t, s.Put(bucket, key, make([]byte, random.IntN(1<<random.IntN(14)))))
		}
		if i%10 == 0 {
			content, err := os.ReadFile(filepath.Join(dir, fileName))
			require.NoError(t, err)
			require.NoError(t, examine(bytes.NewReader(content), int64(len(content))), "after %d changes", i)
		}
	}
	require.NoError(t, s.Close())
}

// Each cut of a small file is refused, whether or not it falls between pages.
func TestExamineCuts(t *testing.T) {
	t.Parallel()
	content := contentOf(t, 20, 300)
	m, err := newestMeta(bytes.NewReader(content), int64(len(content)))
	require.NoError(t, err)
	for n := range int(m.pages * m.pageSize) {
		require.Error(t, examine(bytes.NewReader(content[:n]), int64(n)))
	}
}

// FuzzExamine overwrites some bytes of a good file and puts the headers' checksums right, so that all behind them is
// reached.
func FuzzExamine(f *testing.F) {
	base := contentOf(f, 300, 100)
	f.Add(uint32(0), []byte{}, true)
	f.Add(uint32(16+10), []byte{0x30}, true) // a size of page that bbolt takes and that is none
	f.Add(uint32(16+40), []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, true)
	f.Add(uint32(4096*3+8), []byte{0x01, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, true)
	f.Add(uint32(4096*5+16), []byte{0xff, 0xff, 0xff, 0xff}, false)
	f.Fuzz(func(t *testing.T, at uint32, change []byte, mend bool) {
		b := bytes.Clone(base)
		copy(b[int(at)%len(b):], change)
		if mend {
			for _, at := range []int{0, os.Getpagesize()} {
				m := b[at+pageHeaderBytes : at+pageHeaderBytes+metaBytes]
				h := fnv.New64a()
				h.Write(m[:metaBytes-8])
				order.PutUint64(m[metaBytes-8:], h.Sum64())
			}
		}
		if examine(bytes.NewReader(b), int64(len(b))) != nil {
			return
		}
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, fileName), b, 0o600))
		s, err := Open(dir)
		require.NoError(t, err, "what was examined opens")
		s.db.NoSync = true
		keys, err := s.Keys("b")
		require.NoError(t, err)
		for _, key := range keys {
			_, err := s.Get("b", key)
			require.NoError(t, err)
		}
		require.NoError(t, s.Put("b", "another", make([]byte, 10000)))
		require.NoError(t, s.Close())
	})
}
