package starttls_test

import (
	"io"
	"net"
	"strconv"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// memory is a connection whose peer has said everything already, and hears nothing. It counts what is taken.
type memory struct {
	source io.Reader
	taken  int
}

func (m *memory) Read(p []byte) (int, error) {
	n, err := m.source.Read(p)
	m.taken += n
	return n, err
}

func (*memory) Write(p []byte) (int, error)      { return len(p), nil }
func (*memory) Close() error                     { return nil }
func (*memory) LocalAddr() net.Addr              { return nil }
func (*memory) RemoteAddr() net.Addr             { return nil }
func (*memory) SetDeadline(time.Time) error      { return nil }
func (*memory) SetReadDeadline(time.Time) error  { return nil }
func (*memory) SetWriteDeadline(time.Time) error { return nil }

// endless repeats its words for ever.
func endless(words string) io.Reader { return &repeating{words: words} }

type repeating struct {
	words string
	at    int
}

func (r *repeating) Read(p []byte) (int, error) {
	n := copy(p, r.words[r.at:])
	r.at = (r.at + n) % len(r.words)
	return n, nil
}

// requirePrintable: the words of a peer are one line of bounded length that no terminal minds.
func requirePrintable(t testing.TB, words string) {
	t.Helper()
	require.LessOrEqual(t, len(words), 256)
	require.True(t, utf8.ValidString(words))
	for _, r := range words {
		require.True(t, strconv.IsPrint(r), "%q", words)
	}
}
