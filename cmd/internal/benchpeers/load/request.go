package load

import (
	"encoding/binary"
	"fmt"
)

// What a peer is asked for: its first byte.
const (
	pull   = 'P' // it sends so many bytes
	push   = 'S' // it takes so many bytes, and then sends one
	bounce = 'E' // it returns the message, of so many bytes, that begins with the request
)

const (
	// requestBytes is the size of a request: what it is, and how many bytes, as a big-endian number.
	requestBytes = 9
	// maxBulk bounds one request for bulk, in bytes.
	maxBulk = 1 << 30
	// MaxMessage is the largest message that is echoed, in bytes.
	MaxMessage = chunkBytes
	// MinMessage is the smallest: it carries the request.
	MinMessage = requestBytes
)

// request is one thing that a peer does.
type request struct {
	kind byte
	size int
}

// put writes r to the beginning of p, which has room for it.
func (r request) put(p []byte) {
	p[0] = r.kind
	binary.BigEndian.PutUint64(p[1:requestBytes], uint64(r.size)) //nolint:gosec // a size is never negative
}

// parseRequest reads what put has written, and refuses everything that a peer would not do.
func parseRequest(p []byte) (request, error) {
	if len(p) != requestBytes {
		return request{}, fmt.Errorf("a request has %d bytes, not %d", requestBytes, len(p))
	}
	size := binary.BigEndian.Uint64(p[1:])
	least, most := uint64(1), uint64(maxBulk)
	switch p[0] {
	case bounce:
		least, most = MinMessage, MaxMessage
	case pull, push:
	default:
		return request{}, fmt.Errorf("a request begins with %#x", p[0])
	}
	if size < least || size > most {
		return request{}, fmt.Errorf("a request is about %d bytes, not %d to %d", size, least, most)
	}
	return request{p[0], int(size)}, nil //nolint:gosec // at most maxBulk
}
