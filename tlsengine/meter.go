package tlsengine

import "fmt"

// Bounds on what a peer may send that is of no use.
const (
	// Beside the 128 KiB of certificates that are judged at most. crypto/tls alone would take 256 KiB of certificates, and 64
	// KiB for each other message, in as many records and with as much padding as the peer likes.
	maxHandshakeBytes = 1 << 20
	// Enough for a flight of 4 KiB in records of one byte, or one of 128 KiB in the smallest records that a peer can be asked
	// for (RFC 8449, section 4).
	maxHandshakeRecords = 4096
	// Tickets, KeyUpdates, a change_cipher_spec for middleboxes and the like, beyond one for every record with data.
	spareRecords = 64
)

// meter counts the peer's records by their headers, in clear in every version, as they pass on their way to crypto/tls.
// That one bounds only how many useless records follow each other: sixteen, and with a byte of data sixteen more. The
// fragments of a message it does not count at all.
//
// After the handshake a record is useful that brought at least one byte of data, however much padding came with it: a peer
// may hide its lengths (RFC 8446, section 5.4), a byte in 16 KiB, and reading that costs what as much data would. Every
// useful record pays for a useless one, as servers send that answer BEAST with an empty record before each other. So what
// a peer gets read for nothing is bounded in bytes as well: spareRecords and the useful ones, each of 16 KiB and 261 bytes
// at most, and what one read of the raw connection takes.
//
// It belongs to the reader.
type meter struct {
	records   int64 // that came whole, in this phase
	useful    int64 // reads that gave data: one for each record with data, and more where the reader's buffer is small
	bytes     int64
	body      int // to come of the record under way
	header    [recordHeaderLen]byte
	headerLen int
}

// see counts what was read. Records may be cut anywhere.
func (m *meter) see(p []byte) {
	m.bytes += int64(len(p))
	for len(p) > 0 {
		switch {
		case m.body > len(p):
			m.body -= len(p)
			return
		case m.body > 0:
			p, m.body = p[m.body:], 0
			m.records++
			continue
		}
		n := copy(m.header[m.headerLen:], p)
		p = p[n:]
		if m.headerLen += n; m.headerLen < recordHeaderLen {
			return
		}
		m.headerLen = 0
		if m.body = int(m.header[3])<<8 | int(m.header[4]); m.body == 0 {
			m.records++
		}
	}
}

// gave notes a read by crypto/tls that gave n bytes of data.
func (m *meter) gave(n int) {
	if n > 0 {
		m.useful++
	}
}

// secure begins the phase after the handshake. What crypto/tls has read ahead stays the handshake's.
func (m *meter) secure() { m.records, m.useful, m.bytes = 0, 0, 0 }

// check is asked before more is read. crypto/tls has done with every whole record then, and given the data of every one
// but the last, so that what was counted is what was useless.
func (m *meter) check(handshaking bool) error {
	if handshaking && (m.bytes > maxHandshakeBytes || m.records > maxHandshakeRecords) ||
		!handshaking && m.records-m.useful > spareRecords+m.useful {
		return &FloodError{Handshake: handshaking, Records: m.records, Useful: m.useful, Bytes: m.bytes}
	}
	return nil
}

// FloodError reports a peer that keeps this side busy for nothing: a handshake out of all proportion, or, after it,
// records without data. The connection is good for nothing but Abort. It is under a *HandshakeError in a handshake.
type FloodError struct {
	Handshake bool  // it was during the handshake
	Records   int64 // that the peer had sent, in the handshake or after it
	Useful    int64 // of them, those with application data
	Bytes     int64 // that the peer had sent, record headers and padding included
}

func (e *FloodError) Error() string {
	if e.Handshake {
		return fmt.Sprintf("tlsengine: the peer's handshake has more than %d records or %d bytes", maxHandshakeRecords, maxHandshakeBytes)
	}
	return fmt.Sprintf("tlsengine: only %d of the peer's %d records had data", e.Useful, e.Records)
}

// Unwrap returns the alert that stands for it, unexpected_message. It is not sent: crypto/tls takes the flood for an error
// of the raw connection, and the peer is owed nothing.
func (e *FloodError) Unwrap() error { return &AlertError{Alert: alertUnexpectedMessage} }
