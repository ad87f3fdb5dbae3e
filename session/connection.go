package session

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"securesocket/session/quota"
	"securesocket/tlsengine"
	"securesocket/tlsengine/identity"
	"securesocket/tlsengine/truststore"
)

// connection is one generation of a session: the socket, and how it ends. The
// bytes that wait in either direction are the core's. Everything but the immutable fields is guarded by
// the session's mu.
type connection struct {
	s      *Session
	gen    int64
	target Target
	ctx    context.Context // done when the connection has to end
	cancel context.CancelCauseFunc
	done   chan struct{} // closed by run or live when `closed` has been emitted and the socket is closed

	writerDone chan struct{} // closed when the writing half has ended

	permit   *Permit
	flow     *quota.Flow // nil before bytes move
	args     ConnectArgs
	attempt  *Attempt
	timeline timeline

	raw           net.Conn        // set when TCP is up
	socket        socket          // what the bytes move over; set when they may
	tls           *tlsengine.Conn // set when the handshake has succeeded; it is the socket then
	start         *startTLS       // from StartTLS until the connection is secure
	greeting      []byte          // of the peer, before TLS
	local, remote netip.AddrPort
	routes        []route      // that were dialled; none where it was accepted
	policy        string       // the revision of the egress policy that was asked last
	question      *Question    // open; nil: none is
	signRequest   *SignRequest // open; nil: none is
	unsigned      bool         // the handshake ended while a SignRequest was open
	abortive      bool         // teardown closes the socket with RST

	discard    bool          // the caller has closed: what still comes is dropped
	space      chan struct{} // depth 1: to the reader, when there may be room
	writer     worker        // writes to the peer
	room       chan struct{} // depth 1: to Attachment.Write, when bytes were written
	readCause  CloseCause    // of the peer's direction; 0: open
	writeCause CloseCause    // of the caller's direction; 0: open
	writeDone  bool          // close_notify was written

	// The first cause, and the failure behind it; 0 and nil while it is open
	// or if it ends cleanly.
	cause    CloseCause
	failure  error
	firstEnd CloseCause // the side that ended first
	ioError  bool       // io_error was emitted, or must not be
	closing  bool       // the caller closed it gracefully: state CLOSING
	// The caller closed it: he wants nothing more of it.
	dismissed bool
	// The caller closed it gracefully while it was connecting.
	closeWhenUp bool
	stopped     bool // it has to end: stopLocked, failLocked or connectFailed
	ended       bool // `closed` was emitted

	lastActivity time.Time
	idleTimeout  time.Duration // 0: never
	detachGrace  time.Duration
	settings     *Settings // effective; nil while bytes move: the rest is for connecting, and for entering TLS

	// What it holds of what its owner has given, and may have taken back since, until a
	// handshake is over: its session's anchors, his defaults', and the identities.
	trusted, trustedAbove *truststore.Set
	identities            []*identity.Identity

	// Stopped at the end; each nil until it is needed.
	idle     *time.Timer
	detach   *time.Timer // runs while no stream is attached
	graceful *time.Timer
}

func (s *Session) newConnection(args ConnectArgs, eff Settings, p *Permit) *connection {
	c := &connection{
		s: s, permit: p, args: args, target: args.Target, settings: &eff, identities: eff.Identities, idleTimeout: *eff.IdleTimeout, detachGrace: *eff.DetachGrace,
		done: make(chan struct{}), writerDone: make(chan struct{}),
	}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.space = make(chan struct{}, 1)
	c.room = make(chan struct{}, 1)
	c.timeline.began = time.Now()
	c.lastActivity = c.timeline.began
	return c
}

// mark begins or ends a span of the timeline.
func (c *connection) mark(span int, begin bool) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if begin {
		c.timeline.begin(span)
	} else {
		c.timeline.end(span)
	}
}

// stopLocked ends the connection for a cause that is not the peer's. The first
// cause stays. abort: with RST, and what is pending is dropped. It is so too where
// accepted bytes were not written: the peer must not take what it has for all.
func (c *connection) stopLocked(cause CloseCause, err error, abort bool) {
	if c.ended || c.stopped {
		return
	}
	c.stopped = true
	// The caller's own end of a live connection is no failure: the side that
	// ended first tells.
	if c.cause == 0 && (c.socket == nil || cause != CauseLocal) {
		c.cause, c.failure = cause, err
		c.ioError = true // the cause is not an error of I/O
	}
	accepted, written, _ := c.s.core.Counts()
	c.abortive = abort || written < accepted
	if c.socket != nil {
		c.endHalvesLocked(cause)
	}
	c.endBytesLocked(cause)
	c.s.changedLocked()
	if err == nil {
		err = ErrCancelled
	}
	c.cancel(err)
}

// failLocked ends the connection for a failure of the network or the peer.
func (c *connection) failLocked(cause CloseCause, err error) {
	if c.cause == 0 {
		c.cause, c.failure = cause, err
	}
	c.stopped = true
	c.endHalvesLocked(cause)
	c.endBytesLocked(cause)
	c.cancel(err)
}

// endBytesLocked has the core take no more bytes, in either direction.
func (c *connection) endBytesLocked(cause CloseCause) {
	c.s.core.WriteEnded(time.Now(), c.gen, cause)
	c.s.core.PeerEnded(c.gen, cause)
	c.s.effectsLocked()
}

// watchDetachLocked starts the grace of a connection that no stream holds; a
// resumable session has the core's.
func (c *connection) watchDetachLocked() {
	if !c.s.core.Resumable() {
		c.detachInLocked()
	}
}

// detachInLocked starts that grace, when the connection is secure or when a
// stream lets go.
func (c *connection) detachInLocked() {
	if c.detach == nil {
		c.detach = c.s.reg.after(c.detachGrace, c.detachOver)
		return
	}
	c.detach.Reset(c.detachGrace)
}

func (c *connection) detachOver() {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.s.attachment == nil {
		c.stopLocked(CauseDetachExpired, nil, false)
	}
}

// endHalvesLocked gives every half that is still open its cause.
func (c *connection) endHalvesLocked(cause CloseCause) {
	if c.readCause == 0 {
		c.readCause = cause
	}
	if c.writeCause == 0 {
		c.writeCause = cause
	}
	if c.firstEnd == 0 {
		c.firstEnd = cause
	}
}

func (c *connection) overallCause() CloseCause {
	if c.cause != 0 {
		return c.cause
	}
	return c.firstEnd
}

// teardown closes the socket; it runs once, when ctx is done, and nothing replaces
// the socket meanwhile.
func (c *connection) teardown() {
	c.s.mu.Lock()
	abortive := c.abortive
	c.s.mu.Unlock()
	if abortive {
		_ = c.socket.Abort()
	} else {
		_ = c.socket.Close() // the kernel still delivers what it has
	}
}

// finish emits the last events of the generation. It runs at the end of run or
// live, when nothing else of the connection does.
func (c *connection) finish() {
	end := c.announceEnd()
	close(c.done) // before the log, which may be slow
	_ = Guard(c.s.reg.cfg.Logger, func() error { c.s.reg.cfg.Ended(end); return nil })
}

// announceEnd is finish under the lock; it returns what the operator is told.
func (c *connection) announceEnd() End {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range []*time.Timer{c.idle, c.detach, c.graceful} {
		if t != nil {
			t.Stop()
		}
	}
	if c.start != nil {
		c.start.stop()
	}
	if c.failure != nil && !c.ioError {
		c.emitFailureLocked(PhaseData)
	}
	if c.failure != nil {
		s.lastErr = c.failure
	}
	s.core.Keep(false) // no StartTLS will come
	s.setStateLocked(StateUnconnected)
	s.mode = 0
	c.ended = true
	_, written, received := s.core.Counts()
	s.emitLocked(Closed{
		Cause: c.overallCause(), Err: slimError(c.failure),
		Received: received, Sent: written,
		ReadCause: c.readCause, WriteCause: c.writeCause,
	})
	c.permit.End()
	if c.flow != nil {
		c.flow.Close()
	}
	s.reg.connectionEnded()
	c.attempt.decide(c.failure, c)
	s.settledLocked()
	if final, ok := errors.AsType[*ExpiredError](s.over); ok && final.Written < written { // meanwhile
		amended := *final
		amended.Written = written
		s.reg.amend(s, &amended)
	}
	s.accountLocked()
	s.takenLocked()
	if s.over != nil {
		s.reg.tidy(s.owner)
	}
	s.restLocked()
	return c.reportLocked()
}

func (c *connection) emitFailureLocked(phase Phase) {
	c.ioError = true
	c.s.lastErr = c.failure
	c.s.emitLocked(IOError{Err: slimError(c.failure), Phase: phase})
}

// touchLocked notes that a byte moved.
func (c *connection) touchLocked() { c.lastActivity = time.Now() }

// watchIdleLocked stops the connection when no byte has moved for the idle
// timeout.
func (c *connection) watchIdleLocked() {
	if c.idleTimeout > 0 {
		c.idle = c.s.reg.after(c.idleTimeout, c.idleOver)
	}
}

func (c *connection) idleOver() {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	switch {
	case c.ended:
		return
	case c.start != nil: // the handshake's clock counts
		c.idle.Reset(c.idleTimeout)
		return
	}
	if left := c.idleTimeout - time.Since(c.lastActivity); left > 0 {
		c.idle.Reset(left)
		return
	}
	c.stopLocked(CauseIdleTimeout, nil, false)
}

func (c *connection) setNoDelayLocked(on bool) {
	if tc, ok := c.raw.(*net.TCPConn); ok {
		_ = tc.SetNoDelay(on) // fails only on a socket that has ended
	}
}

// causeOf says how a half ended, from the error of reading or writing it.
func causeOf(err error) CloseCause {
	if a, ok := errors.AsType[*tlsengine.AlertError](err); ok {
		if !a.Remote {
			return CauseError // this side's answer to a peer that broke the protocol
		}
		return CausePeerAlert
	}
	end, _ := tlsengine.EndOf(err)
	switch end {
	case tlsengine.EndCloseNotify:
		return CausePeerCloseNotify
	case tlsengine.EndTruncated:
		return CausePeerTruncated
	case tlsengine.EndTruncatedRecord:
		return CausePeerTruncatedRecord
	case tlsengine.EndReset:
		return CausePeerReset
	case tlsengine.EndTimeout:
		return CauseNetworkTimeout
	}
	return CauseError
}

// dataError gives an error of a live connection its kind, where it is the
// network's.
func (c *connection) dataError(cause CloseCause, err error) error {
	if _, ok := errors.AsType[*tlsengine.AlertError](err); ok || (cause != CauseNetworkTimeout && cause != CauseError) {
		return err
	}
	return &NetworkError{networkKind(err), PhaseData, c.remote.String(), err}
}

// signal wakes the one goroutine that waits on a channel of depth 1.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
