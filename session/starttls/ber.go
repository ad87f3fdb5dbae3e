package starttls

import (
	"io"
	"math"
)

// byteSource is the connection, or what was read of it.
type byteSource interface {
	io.Reader
	io.ByteReader
}

// element reads one element of BER as LDAP has it (RFC 4511, section 5.1): lengths are definite, but need not be the
// shortest, and tags have one byte. Another tag than the wanted one is malformed as soon as it is read. Content is bounded
// as a line is.
func element(r byteSource, want byte) (tag byte, content []byte, err error) {
	tag, err = r.ReadByte()
	switch {
	case err != nil:
		return 0, nil, err
	case tag&0x1f == 0x1f, want != anyTag && tag != want:
		return 0, nil, malformed("not an element that belongs here", string([]byte{tag}))
	}
	first, err := r.ReadByte()
	if err != nil {
		return 0, nil, err
	}
	length := int64(first)
	if first >= 0x80 {
		if first == 0x80 || first > 0x84 {
			return 0, nil, malformed("a length that cannot be", "")
		}
		length = 0
		for range first & 0x7f {
			b, err := r.ReadByte()
			if err != nil {
				return 0, nil, err
			}
			length = length<<8 | int64(b)
		}
	}
	if length > maxLine {
		return 0, nil, malformed("a message is too long", "")
	}
	content = make([]byte, length)
	_, err = io.ReadFull(r, content)
	return tag, content, err
}

// number reads an INTEGER or ENUMERATED that has to lie between 0 and 2^31-1.
func number(b []byte) (int, error) {
	if len(b) == 0 || len(b) > 4 || b[0] >= 0x80 {
		return math.MaxInt32, malformed("not a number", "")
	}
	n := 0
	for _, b := range b {
		n = n<<8 | int(b)
	}
	return n, nil
}
