package starttls

import (
	"errors"
	"io"
	"strings"
)

const (
	maxTotal    = 64 << 10 // bytes of one dialogue
	maxLine     = 4 << 10  // bytes of one line with its end, or of one message
	maxLines    = 512      // of one dialogue
	maxGreeting = 8 << 10
)

// reader takes from its source what is asked for and no byte more, and stops at the bounds. An end of the source is
// io.ErrUnexpectedEOF, always: no dialogue ends with it.
type reader struct {
	source io.Reader

	taken, lines int
	greeting     []byte
	greeted      bool // what comes now is not the greeting any more
	one          [1]byte
	err          error // the first; encoding/xml makes others of it
}

// Read makes the reader an io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if r.err != nil || len(p) == 0 {
		return 0, r.err
	}
	if r.taken == maxTotal {
		r.err = malformed("the peer says too much", "")
		return 0, r.err
	}
	n, err := r.source.Read(p[:min(len(p), maxTotal-r.taken)])
	r.taken += n
	if !r.greeted {
		r.greeting = append(r.greeting, p[:min(n, maxGreeting-len(r.greeting))]...)
	}
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		r.err = io.ErrUnexpectedEOF
	default:
		r.err = err
	}
	if n > 0 {
		return n, nil
	}
	return 0, r.err
}

// ReadByte is there for encoding/xml too, which would look ahead without it.
func (r *reader) ReadByte() (byte, error) {
	for {
		n, err := r.Read(r.one[:])
		if n > 0 || err != nil {
			return r.one[0], err
		}
	}
}

// exactly reads n bytes, which are the caller's.
func (r *reader) exactly(n int) ([]byte, error) {
	if n > maxLine {
		return nil, malformed("a message is too long", "")
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}

// line reads a line and returns it without its CR LF. Either of these alone, and NUL, are malformed.
func (r *reader) line() (string, error) {
	if r.lines++; r.lines > maxLines {
		return "", malformed("the peer says too many lines", "")
	}
	var b strings.Builder
	for b.Len() < maxLine-1 {
		c, err := r.ReadByte()
		if err != nil {
			return "", err
		}
		switch c {
		case '\r':
			c, err = r.ReadByte()
			if err != nil {
				return "", err
			}
			if c != '\n' {
				return "", malformed("a CR without its LF", b.String())
			}
			return b.String(), nil
		case '\n':
			return "", malformed("an LF without its CR", b.String())
		case 0:
			return "", malformed("a NUL in a line", b.String())
		}
		b.WriteByte(c)
	}
	return "", malformed("a line is too long", b.String())
}
