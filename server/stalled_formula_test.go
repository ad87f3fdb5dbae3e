package server_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
)

// The formula of docs/memory.md, in bytes: what the service holds once the
// garbage collector has run.
const (
	heldIdle       = 44 << 10  // a session with a stream
	heldFacts      = 32 << 10  // events and a chain that are not usual, before they count for the budget
	heldConnection = 128 << 10 // an HTTP/2 connection
	heldProcess    = 1 << 20   // what the process makes once
	heldOnce       = heldProcess + stalledConnections*heldConnection

	// What gRPC holds of one stream to a caller that does not receive: 64 KiB of
	// quota in frames, and what one more, one that is waiting and one that is half
	// written have beyond that.
	heldReferenced = 64<<10 + 3*64<<10
	// Frames of 1 KiB and more refer to buffers of up to four times their size.
	heldSmall = 4*64<<10 + 2*64<<10
	// Of these frames, what is not in a resumable session's ring.
	heldHeaders = 100 << 10
	// The smallest frame has 15 bytes and costs 184.
	heldShort = 64<<10/15*184 + 2*64<<10

	// The TLS record that is read in parts, in crypto/tls's buffer.
	heldReading = 32 << 10
	// A TLS record, and four that reach the kernel as one.
	heldWriting = 18<<10 + 72<<10
	// A stream's window, and the payload that waits for room.
	heldWindow = 256<<10 + 128<<10
	// HTTP/2 frames of more than 1 KiB lie in buffers of up to four times their size.
	heldSmallWindow = 2*256<<10 + 128<<10
)

// stall is one way in which sessions stand still.
type stall struct {
	name      string
	sessions  int
	resumable bool
	buffer    int32 // each way; 0: the default
	size      int   // bytes of a record, or of a caller's frame
	held      int64 // of each session, beside its buffers
	// A record is sent only when the one before was handed to its stream: none
	// are coalesced, as long as anything is taken.
	paced bool
}

// fewer takes sessions away where time is short.
func (s *stall) fewer() {
	if testing.Short() {
		s.sessions = min(s.sessions, 50)
	}
	if raceEnabled {
		s.sessions = min(s.sessions, 8)
	}
	if raceEnabled && s.size == 1 {
		s.sessions = 1
	}
}

func (s *stall) settings() *pb.SessionSettings {
	return &pb.SessionSettings{
		Resumable: proto.Bool(s.resumable), ReceiveBufferBytes: s.buffer, SendBufferBytes: s.buffer,
		Tls: &pb.TlsSettings{Trust: &pb.TrustSettings{Base: pb.TrustSettings_BASE_NONE}},
	}
}

// receiveBuffer is what receive_buffer_bytes comes to.
func (s *stall) receiveBuffer() int32 {
	switch {
	case s.buffer > 0:
		return s.buffer
	case s.resumable:
		return 1 << 20
	}
	return 256 << 10
}

// sendBuffer likewise. An empty buffer takes one payload of any size.
func (s *stall) sendBuffer() int32 { return max(s.receiveBuffer(), 64<<10) }

// mayIdle is what the formula allows the sessions before bytes move, and a tenth.
func (s *stall) mayIdle() int64 {
	return (int64(s.sessions)*heldIdle + heldOnce) * 11 / 10
}

// idle is what the sessions hold when they are connected and nothing else happens: a caller is told that he is before
// the service has let go of the handshake.
func (s *stall) idle(service *stalledService, empty stalledMemory) (m stalledMemory) {
	service.tb.Helper()
	for over := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		m = service.memory()
		if m.used()-empty.used() <= s.mayIdle() || time.Now().After(over) {
			return m
		}
	}
}

// judge holds what was measured against the formula, and a tenth.
func (s *stall) judge(tb testing.TB, empty, idle, full stalledMemory, buffers int64) {
	tb.Helper()
	n := int64(s.sessions)
	each := func(m stalledMemory) float64 { return float64(m.used()-empty.used()) / float64(n) / 1024 }
	may := heldIdle + buffers + s.held
	tb.Logf("%d sessions, KiB each: idle %.0f, standing still %.0f, of %d; resident %d MiB; the process before %d KiB", n, each(idle), each(full), may/1024, full.Resident>>20, empty.used()/1024)
	require.LessOrEqual(tb, idle.used()-empty.used(), s.mayIdle(), "idle")
	require.LessOrEqual(tb, full.used()-empty.used(), (n*may+heldOnce)*11/10, "standing still")
}
