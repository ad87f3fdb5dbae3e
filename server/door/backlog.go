package door

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
)

// BacklogError says that messages that have begun and not ended hold too much
// memory.
type BacklogError struct {
	Held int  // bytes, by this connection
	Own  bool // the limit of the caller, or of a stranger's address or user; else that of everybody
}

func (e *BacklogError) Error() string {
	return fmt.Sprintf("messages that have not ended hold too much memory, %d bytes of them for this connection", e.Held)
}

const (
	messagePrefix = 5 // a gRPC message's: a flag, and the length of what follows
	// freeBacklog of each connection is never too much, so that whoever sends little
	// does not pay for those who hoard.
	freeBacklog = 64 << 10
	// backlogStep is by how much a connection's backlog may differ from what its
	// account knows.
	backlogStep = 16 << 10
	// hoard is a backlog that no caller comes to by accident: two of the largest
	// messages.
	hoard = 8 << 20
)

// backlog follows the messages in the DATA of each stream: what has come of one
// that is not complete lies in the HTTP/2 server's memory, for as long as the
// other end likes. Flow control does not bound it, since a message that is being
// put together is being read. On a connection that is unclaimed complete messages
// count too until their stream ends: of calls that need no authentication some last
// for ever, and read no second one.
type backlog struct {
	mu      sync.Mutex
	streams map[uint32]*partial // until the server has ended them, or the other end reset
	held    int
	told    int    // what owner knows of held
	owner   *owner // who pays; nil once the connection is closed
	known   bool   // it is claimed

	unfinished atomic.Int64 // told, for those who look from outside

	// The DATA frame that is flowing.
	stream *partial // nil for a stream that is not there
	left   int      // bytes of data that are to come
	buffer int      // bytes that it takes in memory
	padded bool     // the length of the padding comes first
}

// partial is the message of a stream.
type partial struct {
	need   int  // bytes that are to come
	have   int8 // of prefix
	prefix [messagePrefix]byte
	held   int // by buffers in which there is something of it
}

// bufferOf returns what a DATA frame takes in memory: grpc-go has a buffer for each,
// padding included, of its own size up to 1 KiB, of 4 KiB up to that, and of 16 KiB.
func bufferOf(length int) int {
	switch {
	case length <= 1<<10:
		return length + bufferCost
	case length <= 4<<10:
		return 4 << 10
	}
	return max(length, 16<<10)
}

// bufferCost is what is kept about a buffer.
const bufferCost = 64

// begin takes the header of the next frame. The mu is held.
func (b *backlog) begin(h frameHeader) {
	b.left, b.stream = 0, nil
	switch h.kind {
	case frameHeaders:
		if b.streams == nil {
			b.streams = make(map[uint32]*partial)
		}
		if b.streams[h.stream] == nil {
			b.streams[h.stream] = new(partial)
			b.count(1)
		}
	case frameRSTStream:
		b.drop(h.stream)
	case frameData:
		b.stream, b.left, b.padded = b.streams[h.stream], h.length, h.flags&flagPadded != 0
		if b.buffer = bufferOf(h.length); !b.padded {
			b.hold()
		}
	}
}

// hold counts the buffer of the frame, unless it will be empty. The mu is held.
func (b *backlog) hold() {
	if b.stream != nil && b.left > 0 {
		b.held += b.buffer
		b.stream.held += b.buffer
	}
}

// data takes the next bytes of the frame. The mu is held.
func (b *backlog) data(p []byte) {
	if b.left == 0 || len(p) == 0 {
		return
	}
	if b.padded {
		b.padded = false
		b.left = max(b.left-1-int(p[0]), 0)
		p = p[1:]
		b.hold()
	}
	n := min(len(p), b.left)
	b.left -= n
	if b.stream != nil {
		b.messages(b.stream, p[:n])
	}
}

func (b *backlog) messages(s *partial, p []byte) {
	for len(p) > 0 {
		if s.need == 0 {
			n := copy(s.prefix[s.have:], p)
			p = p[n:]
			if s.have += int8(n); s.have < messagePrefix { //nolint:gosec // of five
				return
			}
			s.have, s.need = 0, int(binary.BigEndian.Uint32(s.prefix[1:]))
		}
		n := min(len(p), s.need)
		s.need -= n
		p = p[n:]
		if s.need == 0 && b.known {
			rest := 0
			if len(p)+b.left > 0 { // what is left of the frame is the next one's
				rest = b.buffer
			}
			b.held += rest - s.held
			s.held = rest
		}
	}
}

// drop forgets a stream that has ended. The mu is held.
func (b *backlog) drop(id uint32) {
	s := b.streams[id]
	if s == nil {
		return
	}
	b.held -= s.held
	delete(b.streams, id)
	b.count(-1)
	if s == b.stream {
		b.stream = nil
	}
}

// count tells the owner of streams. The mu is held.
func (b *backlog) count(streams int) {
	if b.owner != nil {
		b.owner.streams.add(streams)
	}
}

// settle tells the account, and reports whether it has room. The mu is held.
func (b *backlog) settle() bool {
	more := b.held - b.told
	if b.owner == nil || more < backlogStep && more > -backlogStep && b.held > 0 {
		return true
	}
	b.told = b.held
	b.unfinished.Store(int64(b.told))
	return b.owner.unfinished.add(more) || more <= 0 || b.held <= freeBacklog
}

// fits says what a caller has no room of for what there is, or nil: he may not have
// begun more before it was known that he is who pays. The mu is held.
func (b *backlog) fits(caller *owner) *LimitError {
	streams, unfinished := &caller.streams, &caller.unfinished
	if n := int64(len(b.streams)); n > freeRPCs && streams.held.Load()+n > streams.most {
		return &LimitError{What: LimitRPCsPerCaller, Limit: int(caller.rpcs.most)}
	}
	if b.told > freeBacklog && unfinished.held.Load()+int64(b.told) > unfinished.most {
		return &LimitError{What: LimitUnfinished, Limit: int(unfinished.most)}
	}
	return nil
}

// claim has a caller pay for what there is. The mu is held.
func (b *backlog) claim(caller *owner) {
	b.known = true
	if b.owner != nil {
		b.owner.unfinished.add(-b.told)
		b.count(-len(b.streams))
		b.owner = caller
		b.owner.unfinished.add(b.told)
		b.count(len(b.streams))
	}
}

// ended forgets a stream that the server has ended.
func (b *backlog) ended(id uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop(id)
	b.settle()
}

// close gives everything back.
func (b *backlog) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.owner != nil {
		b.owner.unfinished.add(-b.told)
		b.count(-len(b.streams))
		b.owner = nil
		b.unfinished.Store(0)
	}
}
