package door

import (
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// FloodError says that the other end sent frames that its data cannot explain.
type FloodError struct{ Kind uint8 } // of the frame that was too much (RFC 9113 section 6)

func (e *FloodError) Error() string {
	return fmt.Sprintf("too many HTTP/2 frames without use, the last of type %#x", e.Kind)
}

// Meter watches the HTTP/2 frames that flow over conn, the server's end of a
// connection: for one under TLS, what is decrypted. It keeps no byte, and looks
// only at the nine bytes that begin each frame, and the five that begin each
// message. When it is too much, Read fails
// with a *FloodError or a *BacklogError, having closed conn, after GOAWAY if that
// can be written without a wait.
//
// Frames without use are RST_STREAM, whichever side has to send it, SETTINGS (and
// each setting), PING, PRIORITY, WINDOW_UPDATE, CONTINUATION, what RFC 9113 does
// not know, and DATA with next to nothing in it, unless it ends a stream. On
// unclaimed connections HEADERS count for something too: calls that are refused
// have no data in their answers. conn is from the Door,
// or somebody wrapped it since; one from elsewhere counts as claimed.
//
// Reads must not run beside each other, nor writes: HTTP/2 has one of each.
// Close gives the connection's place back.
func (d *Door) Meter(conn net.Conn) net.Conn {
	return d.meter(conn, FromConn(conn), conn.RemoteAddr())
}

func (d *Door) meter(conn net.Conn, ticket *Ticket, remote net.Addr) net.Conn {
	m := &meter{Conn: conn, door: d, ticket: ticket, remote: remote, refilled: time.Now()}
	m.in.skip = prefaceLen
	if ticket != nil {
		m.backlog.owner = &ticket.place.owner
	}
	m.allow()
	if ticket != nil {
		ticket.meter.Store(m)
	}
	return m
}

type meter struct {
	net.Conn
	door   *Door
	ticket *Ticket
	remote net.Addr

	// The reader's.
	in       frames
	ended    error // why nothing is read any more
	balance  int   // what may still be sent
	most     int   // what balance may grow to
	rate     int   // what is added in a second
	known    bool
	refilled time.Time
	halves   int // streams that DATA may end
	last     uint32

	backlog backlog

	paid atomic.Int64 // by what was written, and not yet added to balance

	judging  atomic.Bool // what was read last is looked at; nothing is being read
	broken   atomic.Bool // a write failed
	offended atomic.Bool // the owner has paid for the connection
	flooded  atomic.Bool // for a flood

	outMu sync.Mutex // held during writes, by the reader for GOAWAY
	out   frames
}

// allow sets what the connection may send by whose it is.
func (m *meter) allow() {
	share := strangersShare
	if m.known = m.ticket.Claimed(); m.known {
		share = 1
		m.backlog.claim(m.ticket.ownerOf())
	}
	most := m.door.cfg.FrameBurst * frameCost / share
	m.balance += most - m.most
	m.most, m.rate = most, m.door.cfg.FramesPerSecond*frameCost/share
}

// Read reads from the connection, and fails with a *FloodError when the other end
// has sent too many frames, and with a *BacklogError when it does not end what it
// sends.
func (m *meter) Read(p []byte) (int, error) {
	if m.ended != nil {
		return 0, m.ended
	}
	m.judging.Store(false)
	n, err := m.Conn.Read(p)
	m.judging.Store(err == nil)
	if why := m.judge(p[:n]); why != nil && !m.door.relieve(m, why) {
		return 0, m.end(why)
	}
	return n, err
}

// judge looks at what was read.
func (m *meter) judge(p []byte) error {
	m.backlog.mu.Lock()
	defer m.backlog.mu.Unlock()
	if !m.known && m.ticket.Claimed() {
		m.allow()
	}
	for rest := p; ; {
		m.backlog.data(m.in.body(rest))
		var h frameHeader
		var ok bool
		if rest, h, ok = m.in.next(rest); !ok {
			break
		}
		m.backlog.begin(h)
		if m.balance = min(m.balance-m.cost(h), m.most); m.balance < 0 && !m.settle() {
			return &FloodError{Kind: h.kind}
		}
		if len(m.backlog.streams) > m.door.cfg.FrameBurst { // the server, which drains, answers none of them
			return &FloodError{Kind: h.kind}
		}
	}
	if m.paid.Load() < 0 && !m.settle() {
		return &FloodError{Kind: frameRSTStream}
	}
	if !m.backlog.settle() {
		return &BacklogError{Held: m.backlog.held, Own: m.backlog.owner.unfinished.over()}
	}
	return nil
}

// settle adds what time and the other direction have paid, and reports whether
// it is enough.
func (m *meter) settle() bool {
	now := time.Now()
	earned := min(now.Sub(m.refilled).Seconds()*float64(m.rate), float64(m.most))
	m.refilled = now
	m.balance += int(m.paid.Swap(0)) + int(earned)
	m.balance = min(m.balance, m.most)
	return m.balance >= 0
}

// Write writes to the connection.
func (m *meter) Write(p []byte) (int, error) {
	m.outMu.Lock()
	defer m.outMu.Unlock()
	m.answer(p) // before it can be answered to
	n, err := m.Conn.Write(p)
	if err != nil {
		m.broken.Store(true)
	}
	return n, err
}

// answer looks at what is written.
func (m *meter) answer(p []byte) {
	paid := 0
	for rest := p; ; {
		var h frameHeader
		var ok bool
		if rest, h, ok = m.out.next(rest); !ok {
			break
		}
		switch h.kind {
		case frameData:
			if h.length > 0 {
				paid += max(h.length, answerPays)
			}
		case frameHeaders:
			if h.flags&flagEndStream != 0 {
				m.backlog.ended(h.stream)
			}
		case frameRSTStream:
			m.backlog.ended(h.stream)
			paid -= frameCost
			if len(rest) >= 4 && binary.BigEndian.Uint32(rest) == frameSizeError {
				paid -= headersCost
			}
		case frameGoAway:
			// Behind the last stream is the error (RFC 9113 section 6.8).
			if len(rest) >= 8 && binary.BigEndian.Uint32(rest[4:]) != noError {
				m.misused(false)
			}
		}
	}
	if paid != 0 {
		m.paid.Add(int64(paid))
	}
}

// Of RFC 9113 section 7.
const (
	noError         = 0x0
	frameSizeError  = 0x6
	enhanceYourCalm = 0xb
)

// end closes the connection. What the other end reads of that, if it reads, is
// GOAWAY: not while a write is stuck, or inside another frame.
func (m *meter) end(why error) error {
	m.ended = why
	debug, flood := "too_many_frames", true
	if b, ok := why.(*BacklogError); ok { //nolint:errorlint // it is judge's
		debug, flood = "unfinished_messages", b.Held >= hoard
		if !b.Own { // it is others who hold so much
			m.offended.Store(true)
			m.flooded.Store(true)
		}
	}
	if m.outMu.TryLock() {
		if m.out.between() {
			goAway := binary.BigEndian.AppendUint32(nil, uint32(8+len(debug))<<8|frameGoAway)
			goAway = append(goAway, 0, 0, 0, 0, 0)
			goAway = binary.BigEndian.AppendUint32(goAway, m.last)
			goAway = binary.BigEndian.AppendUint32(goAway, enhanceYourCalm)
			_ = m.SetWriteDeadline(time.Now().Add(goAwayTimeout))
			_, _ = m.Conn.Write(append(goAway, debug...))
			m.out.skip = 1 // nothing follows
		}
		m.outMu.Unlock()
	}
	m.misused(flood)
	_ = m.Close()
	m.door.ended(m.remote, why)
	return why
}

// goAwayTimeout is how long the last frame may take; the socket's buffer has
// room for it unless the other end reads nothing.
const goAwayTimeout = 100 * time.Millisecond

// NetConn returns the connection below. It must not be closed.
func (m *meter) NetConn() net.Conn { return m.Conn }

// RemoteAddr returns the address of the other end, with the ticket.
func (m *meter) RemoteAddr() net.Addr { return m.remote }

// misused has the owner pay for the connection, once, and once more for a flood.
func (m *meter) misused(flood bool) {
	paid := &m.offended
	if flood {
		paid = &m.flooded
	}
	if !paid.Swap(true) {
		m.ticket.misused(flood)
	}
}

// Close closes the connection. An HTTP/2 server that does so while it looks at
// what it has read does so for an error of the other end.
func (m *meter) Close() error {
	if m.judging.Load() && !m.broken.Load() {
		m.misused(false)
	}
	m.backlog.close()
	if m.ticket != nil {
		m.ticket.leave()
	}
	return m.Conn.Close()
}

func (d *Door) ended(addr net.Addr, err error) {
	d.mu.Lock()
	if _, ok := err.(*BacklogError); ok { //nolint:errorlint // it is judge's
		d.stats.Hoarded++
	} else {
		d.stats.Flooded++
	}
	d.mu.Unlock()
	if more, ok := d.ends.due(); ok {
		d.cfg.Logger.Warn("connection ended", "address", addr.String(), "error", err.Error(), "more_since_last", more)
	}
}
