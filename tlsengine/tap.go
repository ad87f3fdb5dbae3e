package tlsengine

import (
	"bytes"
	"errors"
	"net"
	"sync"
	"time"
)

const (
	recordHeaderLen = 5
	recordAlert     = 21 // content type, RFC 8446, section 5.1
)

// tap stands between crypto/tls and the raw connection and remembers what crypto/tls does not tell: that a read ended in
// FIN or an error (it gives io.EOF for close_notify and for a bare FIN alike), what the peer said first, and which
// alert this side sent in clear.
//
// Its fields without a lock belong to the reader, and before the handshake is over to the one goroutine that runs it.
type tap struct {
	net.Conn

	readErr  error  // the first lasting error of a raw read; its presence tells a FIN from a close_notify
	heldErr  error  // came together with data, given on the next read
	received []byte // what was read from the raw connection before, and is still to be given
	first    [recordHeaderLen]byte
	firstLen int
	probe    *probe // of the raw connection; nil: it cannot be probed, or nobody has asked
	probed   bool   // somebody has
	trying   bool   // the reader does not want to wait
	emptied  bool   // by the last raw read of this try
	meter    meter

	cork cork // everybody who writes

	handshaking bool  // writes are watched for alerts
	writeErr    error // of the handshake
	sentAlert   uint8 // sent in clear during the handshake
	alerted     bool

	mu         sync.Mutex
	writeLimit time.Time // no write deadline goes beyond it; zero is none
	closed     bool
	closeErr   error
}

// newTap gives received to be read before anything of raw, and copies it.
func newTap(raw net.Conn, received []byte) *tap {
	return &tap{Conn: raw, received: bytes.Clone(received), handshaking: true}
}

// Read gives data and error one after the other: if both came at once, an EOF could be on record here while crypto/tls has
// yet to find the close_notify in the data.
func (t *tap) Read(p []byte) (int, error) {
	if t.heldErr != nil {
		err := t.heldErr
		t.heldErr = nil
		return 0, t.keepReadErr(err)
	}
	if err := t.meter.check(t.handshaking); err != nil {
		return 0, err // and not on record: the raw connection has not ended
	}
	n, err := t.readRaw(p)
	t.meter.see(p[:n])
	if t.firstLen < recordHeaderLen {
		t.firstLen += copy(t.first[t.firstLen:], p[:n])
	}
	if err != nil && n > 0 {
		t.heldErr = err
		return n, nil
	}
	return n, t.keepReadErr(err)
}

func (t *tap) readRaw(p []byte) (int, error) {
	switch {
	case len(t.received) > 0:
		n := copy(p, t.received)
		if t.received = t.received[n:]; len(t.received) == 0 {
			t.received = nil // with all that lies before
		}
		return n, nil
	case !t.trying:
		return t.Conn.Read(p)
	case t.emptied:
		return 0, ErrWouldBlock
	}
	n, err := t.probe.read(p)
	t.emptied = err == nil && n < len(p) && n <= smallRead
	return n, err
}

// smallRead bounds what makes a reader that tries content. After a small message it is not worth asking the kernel again
// in the same breath, which await will do; of a bulk transfer more has come by the time that the last read is decrypted.
const smallRead = 4 << 10

// startTrying makes reads say ErrWouldBlock instead of waiting, until stopTrying. false: they cannot.
func (t *tap) startTrying() bool {
	if !t.probed {
		t.probe, t.probed = newProbe(t.Conn), true
	}
	t.trying, t.emptied = t.probe != nil, false
	return t.trying
}

func (t *tap) stopTrying() { t.trying = false }

func (t *tap) keepReadErr(err error) error {
	if err != nil && t.readErr == nil && !isDeadline(err) && !errors.Is(err, ErrWouldBlock) {
		t.readErr = err
	}
	return err
}

// await waits for the raw connection after a read of it that would have blocked. The error is a deadline's: of any other
// end the next read tells.
func (t *tap) await() error {
	if err := t.probe.await(); isDeadline(err) {
		return err
	}
	return nil
}

// Write is called with whole records: after the handshake with one, under the lock of crypto/tls.
func (t *tap) Write(p []byte) (int, error) {
	if !t.handshaking {
		return t.cork.write(t.Conn, p)
	}
	t.watchAlert(p)
	n, err := t.Conn.Write(p)
	if err != nil && t.writeErr == nil {
		t.writeErr = err
	}
	return n, err
}

// watchAlert looks for an alert in clear: type 21 and two bytes; an encrypted one is longer. crypto/tls writes whole
// records.
func (t *tap) watchAlert(p []byte) {
	for len(p) >= recordHeaderLen {
		n := int(p[3])<<8 | int(p[4])
		if len(p) < recordHeaderLen+n {
			return
		}
		if p[0] == recordAlert && n == 2 && !t.alerted {
			t.sentAlert, t.alerted = p[recordHeaderLen+1], true
		}
		p = p[recordHeaderLen+n:]
	}
}

// saidTLS reports whether what the peer sent so far can be the start of a TLS record. It is true before the first byte.
func (t *tap) saidTLS() bool {
	switch {
	case t.firstLen == 0:
		return true
	case t.first[0] < 20 || t.first[0] > 24:
		return false
	default:
		return t.firstLen == 1 || t.first[1] == 3
	}
}

// limitWrites ends every write, the one in flight included, after d at the latest.
func (t *tap) limitWrites(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.writeLimit = time.Now().Add(d)
	_ = t.Conn.SetWriteDeadline(t.writeLimit)
}

// SetWriteDeadline clamps to the limit: crypto/tls sets five seconds for close_notify whatever the caller wants.
func (t *tap) SetWriteDeadline(at time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.writeLimit.IsZero() && (at.IsZero() || at.After(t.writeLimit)) {
		at = t.writeLimit
	}
	return t.Conn.SetWriteDeadline(at)
}

// Close closes the raw connection once and returns the same result ever after.
func (t *tap) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.closed, t.closeErr = true, t.Conn.Close()
	}
	return t.closeErr
}

// abort closes with a reset where the connection has one.
func (t *tap) abort() error {
	t.mu.Lock()
	if tcp, ok := t.Conn.(interface{ SetLinger(sec int) error }); ok && !t.closed {
		_ = tcp.SetLinger(0)
	}
	t.mu.Unlock()
	return t.Close()
}
