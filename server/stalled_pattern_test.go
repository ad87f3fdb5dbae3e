package server_test

import (
	"bytes"
	"math/rand/v2"
)

// stalledBytes are what is sent, from a place that is another for each session,
// over and over.
var stalledBytes = func() []byte {
	b := make([]byte, 1<<20-3)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}()

// pattern is a session's byte stream as far as it has come.
type pattern struct {
	session int
	offset  int64
}

// next returns up to n bytes that come next, and at least one.
func (p *pattern) next(n int) []byte {
	at := int((int64(p.session)*4099 + p.offset) % int64(len(stalledBytes)))
	b := stalledBytes[at:min(at+n, len(stalledBytes))]
	p.offset += int64(len(b))
	return b
}

// continues tells whether b is what comes next.
func (p *pattern) continues(b []byte) bool {
	for len(b) > 0 {
		want := p.next(len(b))
		if !bytes.Equal(want, b[:len(want)]) {
			return false
		}
		b = b[len(want):]
	}
	return true
}
