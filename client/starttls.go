package client

import (
	"context"
	"crypto/rand"
	"net"

	"google.golang.org/grpc/codes"

	pb "securesocket/gen/securesocket/v1"
)

// StartTLS enters TLS on a plain connection, in the client's role, and returns when it is secure: the peer's certificate
// is trusted for its name, or accepted by Dialer.Decide. It is for after the words that protocols have for it (SMTP's
// STARTTLS), at the byte where Read and Write stand: bytes that Write has taken over leave in clear, all later ones under
// TLS. Bytes that have come and that Read has not returned end the connection with START_TLS_INJECTION: nobody can tell who
// wrote them (RFC 3207, section 6). So read the peer's answer to its last byte, and without a buffer that reads ahead.
//
// While it waits, Read waits and Write fills its buffer; deadlines hold for these alone. HandshakeTimeout bounds it, and
// ctx does: if that ends, the connection is aborted, with the error of a dial. Close and Abort make it return
// net.ErrClosed. It must not be called from Dialer.OnEvent.
//
// The error is an *Error, and then the connection has ended, but for what the service refuses before it has begun:
// SESSION_STATE where the connection is secure already, the peer has closed it or another call is under way,
// INVALID_FIELD, and OFFSET_MISMATCH where more has come and was not read than the service keeps
// (Settings.ReceiveBufferBytes). Then it can be read on in clear, and no more be written: what would be was meant for TLS.
func (c *Conn) StartTLS(ctx context.Context) error {
	return c.startTLS(ctx, pb.TlsRole_TLS_ROLE_CLIENT)
}

// StartTLSServer is StartTLS in the server's role, with Dialer.Identities or ListenConfig.Identities, without which it is
// INVALID_FIELD. What has come and was not read may be the peer's hello already, and goes into the handshake.
func (c *Conn) StartTLSServer(ctx context.Context) error {
	return c.startTLS(ctx, pb.TlsRole_TLS_ROLE_SERVER)
}

func (c *Conn) startTLS(ctx context.Context, role pb.TlsRole) error {
	s, err := c.beginTLS(role)
	if err != nil {
		return err
	}
	select {
	case <-s.done:
		return s.err
	case <-ctx.Done():
	}
	c.Abort()
	return fromContext(ctx, pb.Phase_PHASE_HANDSHAKE)
}

// starting is a StartTLS under way.
type starting struct {
	role          pb.TlsRole
	receive, send int64             // where TLS begins, in either direction
	frame         *pb.AttachRequest // its request_id has one that comes again join what has begun

	// Under the lock of the sendBuffer.

	told   bool  // the service has the frame, or has begun
	link   *link // the stream that took it; nil: none of those that there are
	number int64 // of the frame on link
	left   bool  // done is closed

	done chan struct{} // closed when the call is to return; nobody sends
	err  error         // what it returns; written before done is closed
}

// beginTLS fixes where TLS begins: at what Read has returned and Write has taken over now.
func (c *Conn) beginTLS(role pb.TlsRole) (*starting, error) {
	w := &c.write
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closed:
		return nil, net.ErrClosed
	case w.err != nil:
		return nil, w.err
	case w.entering != nil:
		return nil, notPlain("another StartTLS is under way", pb.State_STATE_HANDSHAKING)
	case c.Encrypted():
		return nil, notPlain("the connection is secure already", pb.State_STATE_ENCRYPTED)
	case w.finish:
		return nil, notPlain("the writing half is closed", pb.State_STATE_CONNECTED)
	}
	s := &starting{role: role, receive: c.read.park(), send: w.ring.end, done: make(chan struct{})}
	s.frame = &pb.AttachRequest{Frame: &pb.AttachRequest_StartTls{StartTls: &pb.StartTls{
		Role: role, ReceiveOffset: s.receive, SendOffset: s.send, RequestId: rand.Text(), Generation: w.generation,
	}}}
	w.entering = s
	w.work.Signal()
	return s, nil
}

// notPlain is the refusal of a StartTLS by this side, as the service would say it.
func notPlain(message string, have pb.State) *Error {
	return &Error{
		Code: codes.FailedPrecondition, Reason: pb.ErrorReason_ERROR_REASON_SESSION_STATE, Phase: pb.Phase_PHASE_HANDSHAKE,
		Message:  message,
		Metadata: map[string]string{"operation": "StartTls", "have": have.String()},
	}
}

// tell notes the stream that takes the frame.
func (s *starting) tell(l *link) { s.told, s.link, s.number = true, l, l.frames }

// leaveLocked has the call return err, unless it has returned.
func (s *starting) leaveLocked(err error) {
	if !s.left {
		s.left, s.err = true, err
		close(s.done)
	}
}

// startingTLS is the StartTLS under way, or nil.
func (w *sendBuffer) startingTLS() *starting {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.entering
}

// startAgain prepares another stream: the frame may have been lost with the one before. plain: the service has not begun.
func (w *sendBuffer) startAgain(plain bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.entering != nil {
		w.entering.told, w.entering.link = !plain, nil
	}
}

// isStart reports whether the frame of that number on l is the start_tls of the StartTLS under way.
func (w *sendBuffer) isStart(l *link, number int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.entering != nil && w.entering.link == l && w.entering.number == number
}

// settle ends the StartTLS, if one is under way. plain: with an error the connection can be read on in clear; otherwise it
// has ended with it.
func (c *Conn) settle(err error, plain bool) {
	w := &c.write
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.entering
	if s == nil {
		return
	}
	w.entering = nil
	if err != nil && w.err == nil { // what is written from here on was meant for TLS, and must not leave in clear
		w.err = err
		w.dropLocked()
	}
	c.read.unpark(err != nil && !plain)
	s.leaveLocked(err)
	w.work.Signal()
	w.writable.Broadcast()
}

// handleMode learns what is spoken from that position of the peer's bytes on. The error is a breach.
func (c *Conn) handleMode(mode pb.Mode, at int64) error {
	c.facts.mode = mode
	if !c.speaksTLS() || c.Encrypted() {
		return nil
	}
	c.facts.phase = pb.Phase_PHASE_HANDSHAKE
	if mode == pb.Mode_MODE_TLS_SERVER {
		return c.rewind(at) // what came beyond it was the peer's hello
	}
	return nil
}

// rewind goes back to that position of the peer's bytes. The error is a breach.
func (c *Conn) rewind(at int64) error {
	if c.facts.received <= at {
		return nil
	}
	if !c.read.rewind(at) {
		return breach("TLS began after %d bytes, of which more were read", at)
	}
	c.facts.received = at
	c.arrived.Store(at)
	return nil
}

// rewindToStart forgets what came beyond the place of a StartTLS in the server's role: the service, once it has begun, has
// taken that back, and otherwise sends it again.
func (c *Conn) rewindToStart() {
	if s := c.write.startingTLS(); s != nil && s.role == pb.TlsRole_TLS_ROLE_SERVER {
		_ = c.rewind(s.receive) // exactly what Read has returned: it fits
	}
}

// speaksTLS reports whether TLS is up or being entered.
func (c *Conn) speaksTLS() bool {
	return c.facts.mode == pb.Mode_MODE_TLS_CLIENT || c.facts.mode == pb.Mode_MODE_TLS_SERVER
}

// isServer reports whether this side takes the server's role. For what it has begun itself it does not take the service's
// word: its keys sign by it.
func (c *Conn) isServer() bool {
	switch s := c.write.startingTLS(); {
	case s != nil:
		return s.role == pb.TlsRole_TLS_ROLE_SERVER
	case c.resume.open != nil:
		return false
	}
	return c.facts.mode == pb.Mode_MODE_TLS_SERVER
}
