package client

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"

	pb "securesocket/gen/securesocket/v1"
)

const (
	// endWait is how long the service may take to end the stream once the connection has ended.
	endWait = 5 * time.Second
)

// facts is what the frames say about the connection.
type facts struct {
	// Not written again once the connection is ready.

	sessionID     string
	local, remote net.Addr

	// The receive goroutine's own; once it has ended, anybody's.

	attached bool     // a stream has held the session
	phase    pb.Phase // DATA where bytes move, before that what connecting, or StartTLS, has reached; unset before `attached`
	state    pb.State // the last that an event has told
	mode     pb.Mode  // likewise
	hasPeer  bool     // local and remote are known

	report   *pb.CertificateReport // of a refused chain
	failure  *Error                // the first one
	received int64                 // bytes, and so the offset of the next
	// clockAhead is how far this machine's clock is ahead of the service's, the way of a frame included.
	clockAhead time.Duration
	clockKnown bool
	endsAt     int64  // with ends
	ends       func() // to be called when everything before endsAt has come
	over       bool   // the connection has ended, and everything has come from it
	err        error  // why the connection, or the stream, is over; never io.EOF
}

// handle obeys one frame. Its error is a breach of the contract by the service, after which nothing can be trusted to
// be complete.
func (c *Conn) handle(l *link, in *inFrame) error {
	switch {
	case in.isData:
		return c.handleData(in)
	case in.isProgress:
		if in.progress.generation != c.write.generation {
			return nil
		}
		c.delivered.Store(in.progress.written)
		return c.write.progress(in.progress.accepted, in.progress.limit)
	}
	switch frame := in.response.GetFrame().(type) {
	case *pb.AttachResponse_Attached:
		if c.facts.attached {
			return breach("attached a second time")
		}
		return c.attachedOnce(frame.Attached)
	case *pb.AttachResponse_Event:
		if frame.Event.GetKind() != nil {
			return c.handleEvent(frame.Event)
		}
	case *pb.AttachResponse_DecisionRequest:
		if !c.Encrypted() {
			c.facts.phase = pb.Phase_PHASE_CERTIFICATE
			c.handleDecision(frame.DecisionRequest)
		}
	case *pb.AttachResponse_SignRequest:
		if !c.Encrypted() {
			c.facts.phase = pb.Phase_PHASE_HANDSHAKE
			c.handleSign(frame.SignRequest)
		}
	case *pb.AttachResponse_Detached:
		l.detached = fromFailure(frame.Detached.GetFailure(), pb.Phase_PHASE_UNSPECIFIED)
		if !c.resumable {
			c.note(l.detached)
		}
	case *pb.AttachResponse_Refused:
		c.handleRefused(l, frame.Refused)
	}
	return nil // also for frames that this package does not know
}

// handleRefused deals with a frame of this side that could not be obeyed.
func (c *Conn) handleRefused(l *link, refused *pb.Refused) {
	number, failure := refused.GetFrameNumber(), c.facts.failure // if there is one, the refusal is its consequence
	switch {
	case c.write.isStart(l, number) && failure == nil:
		c.settle(fromFailure(refused.GetFailure(), pb.Phase_PHASE_HANDSHAKE), true)
		return
	case failure == nil:
		failure = fromFailure(refused.GetFailure(), pb.Phase_PHASE_DATA)
		failure.cause = syscall.EPIPE
	}
	c.write.refuse(l, number, failure)
}

// handleData takes bytes from the peer. What comes again, as it may after an attach, is passed over.
func (c *Conn) handleData(in *inFrame) error {
	if in.generation != c.write.generation {
		return nil
	}
	size := 0
	for _, p := range in.pieces {
		size += len(p.p)
	}
	again := c.facts.received - in.offset
	if again < 0 || again > 0 && !c.resumable {
		return breach("data at offset %d, expected %d", in.offset, c.facts.received)
	}
	if again >= int64(size) {
		return nil
	}
	c.facts.received += int64(size) - again
	c.arrived.Store(c.facts.received)
	if !c.read.put(in, int(again)) {
		return flood()
	}
	if c.closed.Load() { // it is discarded, which is as good as read
		c.write.acked(c.facts.received, false)
	}
	c.checkEnd()
	return nil
}

// flood is the error of a StartTLS during which a peer sends on and on in clear.
func flood() *Error {
	return &Error{
		Code: codes.FailedPrecondition, Reason: pb.ErrorReason_ERROR_REASON_START_TLS_INJECTION, Phase: pb.Phase_PHASE_HANDSHAKE,
		Message: "the peer's plain bytes go on where the handshake begins",
	}
}

// breach is the error of frames that break the contract.
func breach(format string, args ...any) *Error {
	return &Error{
		Code:    codes.Internal,
		Reason:  pb.ErrorReason_ERROR_REASON_INTERNAL,
		Message: "the service broke the contract: " + fmt.Sprintf(format, args...),
		Phase:   pb.Phase_PHASE_DATA,
		cause:   errBreach,
	}
}

// errBreach marks the errors of breach.
var errBreach = errors.New("the contract is broken")

// handleEvent tells the caller about an event and does what follows from it. The error is a breach.
func (c *Conn) handleEvent(event *pb.Event) error {
	if c.resumable {
		if event.GetSeq() <= c.resume.events {
			return nil // it came again
		}
		c.resume.events = event.GetSeq()
		defer func() { c.write.ackEvent(c.resume.events, event.GetClosed() != nil) }()
	}
	c.facts.noteClock(event)
	if c.hooks.onEvent != nil {
		c.hooks.onEvent(Event{event})
	}
	if g := event.GetGeneration(); g > c.write.generation || c.resumable && g > 0 && g < c.write.generation {
		return nil // the session was connected again by another call; this connection is over
	}
	facts := &c.facts
	switch kind := event.GetKind().(type) {
	case *pb.Event_StateChanged:
		c.handleState(kind.StateChanged.GetNewState())
	case *pb.Event_TcpConnected:
		if !c.isReady() {
			facts.local = tcpAddr(kind.TcpConnected.GetLocal())
			facts.remote = tcpAddr(kind.TcpConnected.GetRemote())
			facts.hasPeer = true
			c.checkPlain()
		}
	case *pb.Event_ModeChanged:
		return c.handleMode(kind.ModeChanged.GetMode(), event.GetSocketDataOffset())
	case *pb.Event_SecureConnected:
		if !c.Encrypted() {
			return c.becomeSecure(kind.SecureConnected)
		}
	case *pb.Event_CertificateError:
		facts.report = kind.CertificateError.GetReport()
	case *pb.Event_SecurityError:
		c.note(fromFailure(kind.SecurityError.GetFailure(), pb.Phase_PHASE_POLICY))
	case *pb.Event_IoError:
		c.note(fromFailure(kind.IoError.GetFailure(), kind.IoError.GetPhase()))
	case *pb.Event_RemoteClosed:
		end := c.endOf(kind.RemoteClosed.GetCause())
		if final := kind.RemoteClosed.GetFinalOffset(); errors.Is(end, io.EOF) && final != facts.received {
			end = breach("the peer sent %d bytes, and %d have come", final, facts.received)
		}
		c.read.end(end)
	case *pb.Event_Closed:
		c.handleClosed(kind.Closed)
	}
	return nil
}

// handleState notes what the socket has come to.
func (c *Conn) handleState(state pb.State) {
	facts := &c.facts
	facts.state = state
	if c.Encrypted() {
		return
	}
	switch state {
	case pb.State_STATE_HOST_LOOKUP:
		facts.phase = pb.Phase_PHASE_DNS
	case pb.State_STATE_CONNECTING:
		facts.phase = pb.Phase_PHASE_TCP
	case pb.State_STATE_CONNECTED:
		c.checkPlain()
	case pb.State_STATE_HANDSHAKING:
		facts.phase = pb.Phase_PHASE_HANDSHAKE
	}
}

// checkPlain notes that a plain connection is there.
func (c *Conn) checkPlain() {
	if c.plain && c.facts.hasPeer && c.facts.state == pb.State_STATE_CONNECTED {
		c.facts.phase = pb.Phase_PHASE_DATA
		c.makeReady()
	}
}

// note keeps the first failure, as the service's closed event does, and the report that came before it if the failure is
// about that: a chain that was accepted is not why the peer fails later.
func (c *Conn) note(e *Error) {
	if c.facts.failure == nil {
		if e.Phase == pb.Phase_PHASE_CERTIFICATE {
			e.Report = c.facts.report
		}
		if err := c.declinedBy(e.Reason); err != nil {
			e.cause = err
		}
		c.facts.failure = e
	}
}

// handleClosed ends both halves. The stream follows: the service ends it, and if not, so does this side.
func (c *Conn) handleClosed(closed *pb.Closed) {
	if closed.GetFailure() != nil {
		c.note(fromFailure(closed.GetFailure(), c.facts.phase))
	}
	c.answered()
	c.delivered.Store(closed.GetSentBytes())
	c.facts.err = c.endOf(closed.GetCause())
	if errors.Is(c.facts.err, io.EOF) {
		c.facts.err = &Error{
			Code: codes.Unavailable, Message: "the peer has closed the connection",
			Metadata: map[string]string{"cause": causeName(closed.GetCause())}, Phase: pb.Phase_PHASE_CLOSE,
		}
	}
	readEnd, writeEnd := c.facts.err, c.facts.err
	if cause := closed.GetReadCause(); cause != pb.CloseCause_CLOSE_CAUSE_UNSPECIFIED {
		readEnd = c.endOf(cause)
	}
	if cause := closed.GetWriteCause(); cause != pb.CloseCause_CLOSE_CAUSE_UNSPECIFIED {
		if end := c.endOf(cause); !errors.Is(end, io.EOF) {
			writeEnd = end
		}
	}
	c.read.end(readEnd)
	c.write.stop(writeEnd)
	c.settle(c.failure(), false)
	c.facts.over = true
	if !c.resumable {
		c.cancelAfter(endWait)
		return
	}
	// The stream goes on until everything is acked: who is killed before it has read the rest can still get it.
	if !c.isReady() {
		c.write.acked(c.facts.received, true)
	}
	c.write.complete(c.facts.received, c.resume.events)
}

// failure is why the connection, or the stream, is over.
func (c *Conn) failure() error {
	if c.facts.failure != nil {
		return c.facts.failure
	}
	return c.facts.err
}

// endOf is what a half returns that ended in that way: io.EOF for the peer's close_notify, and for its FIN where that is
// all there is, otherwise the first failure, and where there was none the cause.
func (c *Conn) endOf(cause pb.CloseCause) error {
	switch {
	case cause == pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY:
		return io.EOF
	case cause == pb.CloseCause_CLOSE_CAUSE_PEER_FIN && !c.speaksTLS():
		return io.EOF
	case c.facts.failure != nil:
		return c.facts.failure
	}
	return fromCause(cause)
}
