package tlsengine

import (
	"crypto/tls"
	"net"
	"sync"
)

const (
	// corkSize has room for four full records, whatever the suite adds to them.
	corkSize = 4 * (recordHeaderLen + maxPlaintext + 128)
	// maxPlaintext is that of one record (RFC 8446, section 5.1).
	maxPlaintext = 16 << 10
	// minHeld is below the records that crypto/tls cuts a longer Write into, and far above alerts and KeyUpdates, which
	// it may write in between.
	minHeld = 512
)

// corkPool serves all connections. What is in it is encrypted.
var corkPool = sync.Pool{New: func() any { return new([corkSize]byte) }}

// cork gives the kernel the records of one Write in bunches. crypto/tls uses its record buffer again for the next record,
// so they are copied: all but the last of a bunch wait here. The last record of the Write pushes them out while
// crypto/tls still holds its lock, so nobody's alert, KeyUpdate or deadline comes between a Write and its bytes.
//
// The zero value holds nothing back. mu is never waited for by who closes the raw connection.
type cork struct {
	mu       sync.Mutex
	overhead int             // see overhead
	left     int             // plaintext of the Write under way whose records are still to come
	buf      *[corkSize]byte // nil while nothing is held back
	held     int             // bytes of buf
	lost     int             // plaintext that crypto/tls counts as written, of this Write, and the kernel did not take
	err      error           // the first of a write; after a part of a record nothing may follow
}

// overhead returns by how much a record's payload is longer than its plaintext, and 0 where that is not constant: the
// padding of CBC.
func overhead(version, suite uint16) int {
	if version == tls.VersionTLS13 {
		return 17 // tag, content type
	}
	switch suite {
	case tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384:
		return 24 // explicit nonce, tag
	case tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256:
		return 16 // tag
	}
	return 0
}

// begin holds records back for a Write of n bytes.
func (c *cork) begin(n int, state *State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.overhead, c.left, c.lost = overhead(state.Version, state.CipherSuite), n, 0
	if c.overhead == 0 && state.Version == tls.VersionTLS10 {
		c.left-- // crypto/tls sends the first byte by itself, for want of an IV
	}
}

// end leaves nothing held back, and returns how many of the bytes that crypto/tls counts were not written. There is an
// error if there are any.
func (c *cork) end(raw net.Conn) (lost int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = 0
	if c.held > 0 {
		c.flushLocked(raw, c.held)
	}
	if c.lost > 0 {
		err = c.err
	}
	return c.lost, err
}

// failed reports whether the raw connection has refused a write.
func (c *cork) failed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err != nil
}

// write takes one record.
func (c *cork) write(raw net.Conn, record []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, c.err
	}
	follows := c.followsLocked(record)
	if c.held+len(record) > corkSize && !c.flushLocked(raw, c.held) {
		return 0, c.err
	}
	if c.held == 0 && !follows {
		n, err := raw.Write(record)
		c.err = err
		return n, err
	}
	if c.buf == nil {
		c.buf = corkPool.Get().(*[corkSize]byte) //nolint:forcetypeassert // the pool holds nothing else
	}
	acknowledged := c.held
	c.held += copy(c.buf[c.held:], record)
	if !follows && !c.flushLocked(raw, acknowledged) {
		return 0, c.err
	}
	return len(record), nil
}

// followsLocked reports whether record is of the Write under way, and not its last. It must not be wrong about a last
// one, which would wait for end; where it cannot know, it says no for the rest of the Write.
func (c *cork) followsLocked(record []byte) bool {
	switch {
	case c.left <= 0 || len(record) < minHeld:
		return false
	case c.overhead > 0 || len(record) >= maxPlaintext:
		c.left -= c.plaintextLocked(len(record))
	default: // the records that a connection begins with grow, up to full ones
		c.left = 0
	}
	return c.left > 0
}

// plaintextLocked is exact for a record that is not the last of a Write, and not too small for that one.
func (c *cork) plaintextLocked(size int) int {
	if c.overhead > 0 {
		return size - recordHeaderLen - c.overhead
	}
	return maxPlaintext
}

// flushLocked writes what is held back, of which crypto/tls counts the records in the first acknowledged bytes, and gives
// the buffer back. false: c.err.
func (c *cork) flushLocked(raw net.Conn, acknowledged int) bool {
	sent, err := raw.Write(c.buf[:c.held])
	if err != nil {
		c.err = err
		for at := 0; at < acknowledged; {
			size := recordHeaderLen + int(c.buf[at+3])<<8 + int(c.buf[at+4])
			if at += size; at > sent {
				c.lost += c.plaintextLocked(size)
			}
		}
	}
	corkPool.Put(c.buf)
	c.buf, c.held = nil, 0
	return err == nil
}
