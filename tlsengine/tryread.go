package tlsengine

import "errors"

// ErrWouldBlock is TryRead's error when there is nothing to read yet. It does not last.
var ErrWouldBlock error = wouldBlock{}

// wouldBlock is a net.Error that is temporary: of these alone crypto/tls does not keep the first for ever.
type wouldBlock struct{}

func (wouldBlock) Error() string   { return "tlsengine: nothing to read yet" }
func (wouldBlock) Timeout() bool   { return false }
func (wouldBlock) Temporary() bool { return true }

// TryRead reads plaintext that can be had without waiting for the network, as much of it as fits in p; when there is none
// it returns ErrWouldBlock. When it returns less than p holds, it has taken what there was. Everything else is as with
// Read: it belongs to the reader, and the two may be mixed. The one thing it may wait for is a Write in flight, when the
// peer asks for a KeyUpdate, whose answer comes after it.
//
// Only raw connections of package net over TCP and Unix sockets, on Unix systems, can be read so. On any other TryRead is
// Read, and AwaitRead returns at once.
func (c *Conn) TryRead(p []byte) (int, error) {
	if c.readEnd != nil {
		return 0, c.readEnd
	}
	if !c.tap.startTrying() {
		return c.Read(p)
	}
	defer c.tap.stopTrying()
	c.drained = false
	n := 0
	for n < len(p) {
		m, err := c.tls.Read(p[n:])
		c.tap.meter.gave(m)
		n += m
		switch {
		case err == nil:
			continue
		case errors.Is(err, ErrWouldBlock):
			c.drained = true
		case !isDeadline(err):
			c.readEnd = c.mapReadError(err)
			return n, c.readEnd
		}
		if n > 0 {
			return n, nil
		}
		return 0, err
	}
	return n, nil
}

// AwaitRead waits, without a buffer, until a TryRead may have something: data, an end, or only a part of a record. It
// belongs to the reader. It returns at once unless the last read was a TryRead that has taken what there was. Its only
// error is that of a read deadline, os.ErrDeadlineExceeded, which does not last. Close and Abort unblock it.
//
// A reader that holds no buffer while it waits calls AwaitRead, takes a buffer, calls TryRead, and begins again.
func (c *Conn) AwaitRead() error {
	if c.readEnd != nil || !c.drained {
		return nil
	}
	if err := c.tap.await(); err != nil {
		return err
	}
	c.drained = false
	return nil
}
