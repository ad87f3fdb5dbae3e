package revocation

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte/asn1"
)

// maxElement bounds what has to be in memory at once: the largest element that is read as a whole.
const maxElement = 64 << 10

// derReader reads DER from a stream, element by element. A long SEQUENCE is entered rather than read.
type derReader struct {
	in   *bufio.Reader
	pos  int64
	sink io.Writer // gets all that is consumed; nil: nobody
}

func newDERReader(r io.Reader) *derReader {
	return &derReader{in: bufio.NewReaderSize(r, maxElement)}
}

// head looks at the next identifier and length, without consuming them. Length forms that DER does not have are malformed.
func (d *derReader) head() (tag asn1.Tag, size int, content int64, err error) {
	b, err := d.in.Peek(2)
	if err != nil {
		return 0, 0, 0, d.readError(err)
	}
	if b[0]&0x1f == 0x1f {
		return 0, 0, 0, fmt.Errorf("%w: long tag at byte %d", malformed, d.pos)
	}
	if b[1] < 0x80 {
		return asn1.Tag(b[0]), 2, int64(b[1]), nil
	}
	n := int(b[1] & 0x7f)
	if n == 0 || n > 4 {
		return 0, 0, 0, fmt.Errorf("%w: length at byte %d", malformed, d.pos)
	}
	if b, err = d.in.Peek(2 + n); err != nil {
		return 0, 0, 0, d.readError(err)
	}
	var length [8]byte
	copy(length[8-n:], b[2:])
	content = int64(binary.BigEndian.Uint64(length[:]))
	if content < 0x80 || b[2] == 0 {
		return 0, 0, 0, fmt.Errorf("%w: length at byte %d", malformed, d.pos)
	}
	return asn1.Tag(b[0]), 2 + n, content, nil
}

// next is the tag of the next element before end, or 0.
func (d *derReader) next(end int64) (asn1.Tag, error) {
	if d.pos >= end {
		return 0, nil
	}
	tag, _, _, err := d.head()
	return tag, err
}

// enter consumes the head of an element that must lie before limit (negative: there is none), and returns where it ends.
func (d *derReader) enter(tag asn1.Tag, limit int64) (end int64, err error) {
	got, size, content, err := d.head()
	if err != nil {
		return 0, err
	}
	end = d.pos + int64(size) + content
	if got != tag || limit >= 0 && end > limit {
		return 0, fmt.Errorf("%w: element at byte %d", malformed, d.pos)
	}
	_, err = d.take(size)
	return end, err
}

// element consumes a whole element that must lie before limit. The bytes are valid until the next call.
func (d *derReader) element(tag asn1.Tag, limit int64) ([]byte, error) {
	got, size, content, err := d.head()
	if err != nil {
		return nil, err
	}
	whole := int64(size) + content
	if got != tag || d.pos+whole > limit {
		return nil, fmt.Errorf("%w: element at byte %d", malformed, d.pos)
	}
	if whole > maxElement {
		return nil, fmt.Errorf("%w: element at byte %d has %d bytes", tooLarge, d.pos, whole)
	}
	return d.take(int(whole))
}

func (d *derReader) take(n int) ([]byte, error) {
	b, err := d.in.Peek(n)
	if err != nil {
		return nil, d.readError(err)
	}
	if d.sink != nil {
		if _, err := d.sink.Write(b); err != nil {
			return nil, err
		}
	}
	_, _ = d.in.Discard(n) // cannot fail: it was peeked, and stays in the buffer until the next read
	d.pos += int64(n)
	return b, nil
}

// atEnd fails when anything follows.
func (d *derReader) atEnd() error {
	switch _, err := d.in.Peek(1); {
	case err == nil:
		return fmt.Errorf("%w: something follows at byte %d", malformed, d.pos)
	case errors.Is(err, io.EOF):
		return nil
	default:
		return d.readError(err)
	}
}

// readError tells an input that ends too early from one that could not be read.
func (d *derReader) readError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ends at byte %d", malformed, d.pos+int64(d.in.Buffered()))
	}
	return fetchError(err)
}
