package session

import (
	"context"
	"errors"
	"io"
	"time"

	"securesocket/session/resume"
	"securesocket/session/starttls"
	"securesocket/tlsengine"
)

// Role is the side of TLS that the service takes. The numbers are the wire's.
type Role int32

// The roles.
const (
	RoleClient Role = 1
	RoleServer Role = 2
)

// StartTLSArgs say where TLS begins: after so many plain bytes in each direction.
type StartTLSArgs struct {
	Role          Role
	ReceiveOffset int64
	SendOffset    int64
	Generation    int64 // 0: the current
}

// startTLS is a StartTLS under way. Guarded by the session's mu, but for ctx and
// clock.
type startTLS struct {
	StartTLSArgs
	ctx   context.Context // ends with the handshake's clock, which has begun to run
	clock *handshakeClock
	stop  func()
	hello []byte // what was received of it already, in the server's role
	eof   bool   // the peer has ended before TLS
	// begun: the reader has ended, and its goroutine is the handshake's.
	begun bool
}

// sendOffset is where TLS begins; 0: nowhere yet.
func (st *startTLS) sendOffset() int64 {
	if st == nil {
		return 0
	}
	return st.SendOffset
}

// InjectionError reports that the peer's bytes go on in clear beyond where TLS was
// to begin.
type InjectionError = starttls.InjectionError

// StartTLS enters TLS on a connection in plain mode, or joins the same request's
// attempt; its Wait says how it went. Who does not pin it must call Wait, as with
// Begin. The error is ErrNotFound, a StateError, an OffsetError, a FieldError or a
// RequestIDError: then the connection is as it was.
func (s *Session) StartTLS(args StartTLSArgs, req Request, pinned bool) (*Attempt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claimLocked()
	s.renewLocked()
	return s.startTLSLocked(args, req, pinned)
}

// StartTLS is Session.StartTLS for the stream that holds the session; events say
// how it went.
func (a *Attachment) StartTLS(args StartTLSArgs, req Request) error {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	if a.superseded {
		return a.supersededLocked()
	}
	_, err := a.s.startTLSLocked(args, req, true)
	a.mistrusted = err != nil
	return err
}

// Mistrust notes that a start_tls of this stream was refused. What its caller sends
// behind it, not knowing that, he means to leave under TLS: it is refused too while
// the connection is plain.
func (a *Attachment) Mistrust() {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	a.mistrusted = true
}

func (a *Attachment) mistrustedLocked() error {
	c := a.s.conn
	if !a.mistrusted || c == nil || !c.args.Plain || c.tls != nil || c.start != nil {
		return nil
	}
	return &StateError{Op: "data", Have: "plain, behind a start_tls that was refused", Want: "entering TLS by another one, or attached anew"}
}

func (s *Session) startTLSLocked(args StartTLSArgs, req Request, pinned bool) (*Attempt, error) {
	if s.over != nil {
		return nil, s.over
	}
	now := time.Now()
	a, found, err := s.requests.find(req, now)
	switch {
	case err != nil:
		return nil, err
	case found:
		a.join(pinned)
		return a, nil
	}
	if err := s.checkGenerationLocked("start_tls", args.Generation); err != nil {
		return nil, err
	}
	c := s.conn
	if have := s.plainLocked(); have != "" {
		return nil, &StateError{Op: "start_tls", Have: have, Want: "connected in plain mode, both directions open"}
	}
	settings := s.effectiveLocked()
	if _, err := settings.check(&s.reg.cfg); err != nil {
		return nil, err // each is allowed, but not both together
	}
	if args.Role == RoleServer && len(settings.Identities) == 0 {
		return nil, errNoIdentity
	}
	if err := c.permit.beginHandshake(); err != nil {
		return nil, err
	}
	st := &startTLS{StartTLSArgs: args}
	if err := s.cutLocked(st); err != nil {
		c.permit.endHandshake()
		return nil, err
	}
	limit := *settings.HandshakeTimeout
	st.ctx, st.clock, st.stop = startClock(c.ctx, limit, &TimeoutError{PhaseHandshake, limit, HandshakeClock})
	c.settings, c.identities = &settings, settings.Identities
	c.attempt = &Attempt{s: s, req: req, decided: make(chan struct{})}
	c.attempt.join(pinned)
	s.requests.remember(req, c.attempt, now, maxSessionRequests)
	c.start = st
	c.touchLocked()
	context.AfterFunc(st.ctx, c.wakeReader)
	c.wakeReaderLocked()
	s.effectsLocked()
	s.changedLocked()
	return c.attempt, nil
}

var errNoIdentity = &FieldError{"tls.identities", "is empty, and the server's role needs one"}

// plainLocked says why TLS cannot be entered; empty: it can.
func (s *Session) plainLocked() string {
	c := s.conn
	switch {
	case s.state != StateConnected:
		return s.state.String()
	case c.stopped:
		return "about to end"
	case c.start != nil:
		return "entering TLS already"
	case c.socket == nil:
		return "asking the peer for TLS already"
	case c.readCause != 0:
		return "closed by the peer"
	case c.writeCause != 0:
		return "closed for writing"
	}
	return ""
}

// cutLocked makes the offsets hold from now on: no byte beyond them leaves in
// clear, and those of the peer beyond them are its hello, or an injection.
func (s *Session) cutLocked(st *startTLS) error {
	if kept := s.core.KeptFrom(); st.ReceiveOffset < kept {
		return &OffsetError{What: "receive_offset", Have: kept, Got: st.ReceiveOffset}
	}
	if err := s.core.Hold(st.SendOffset); err != nil {
		return err
	}
	if err := s.takeHelloLocked(st); err != nil {
		s.core.LetGo()
		return err
	}
	return nil
}

// takeHelloLocked takes back what was received beyond the offset: in the server's
// role it is the peer's hello. A Read under way goes back too.
func (s *Session) takeHelloLocked(st *startTLS) error {
	if _, _, received := s.core.Counts(); st.Role != RoleServer || received <= st.ReceiveOffset {
		return nil
	}
	more, err := s.core.Rewind(st.ReceiveOffset)
	if err != nil {
		return err
	}
	st.hello = append(st.hello, more...)
	return nil
}

// plainRoomLocked is what of room the plain bytes that are missing need. due: none
// is missing, or no more are waited for.
func (st *startTLS) plainRoomLocked(core *resume.Core, room int) (plain int, due bool) {
	_, _, received := core.Counts()
	missing := max(st.ReceiveOffset-received, 0)
	return int(min(int64(room), missing)), missing == 0 || st.eof || st.ctx.Err() != nil
}

// wakeReader lets a reader that waits for the peer look at the connection again.
func (c *connection) wakeReader() {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.wakeReaderLocked()
}

func (c *connection) wakeReaderLocked() {
	if c.start != nil && !c.start.begun && !c.stopped && !c.writeCause.failure() {
		_ = c.socket.SetReadDeadline(time.Unix(1, 0))
	}
	signal(c.space)
}

// wokenLocked: the read deadline was wakeReader's, and is over.
func (c *connection) wokenLocked() bool {
	if c.start == nil || c.writeCause.failure() {
		return false
	}
	_ = c.socket.SetReadDeadline(time.Time{})
	return true
}

// secureDue: the reader has ended because TLS is to begin.
func (c *connection) secureDue() bool {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.start == nil || c.stopped {
		return false
	}
	c.start.begun = true
	_ = c.socket.SetReadDeadline(time.Time{})
	return true
}

// secure enters TLS. It runs on the reader's goroutine, so nobody else reads, and
// begins the handshake when nobody else writes. On failure it says in which phase.
func (c *connection) secure() (phase Phase, err error) {
	st := c.start
	defer st.stop()
	log := c.s.reg.cfg.Logger
	err = Guard(log, func() error {
		if err := c.plainPartOver(st); err != nil {
			return err
		}
		c.tlsBegins(modes[st.Role])
		hello := st.hello
		st.hello = nil // the engine has it
		conn, err := c.handshake(st.ctx, st.clock, st.Role, hello)
		if err == nil && !c.encrypted(conn) {
			err = context.Cause(c.ctx)
		}
		return err
	})
	return certificateOr(PhaseHandshake, err), err
}

// plainPartOver waits until the bytes before TLS are written; those of the peer have
// come, or never will.
func (c *connection) plainPartOver(st *startTLS) error {
	s := c.s
	for {
		s.mu.Lock()
		_, written, received := s.core.Counts()
		failed, eof := c.failure, st.eof
		changed := s.nextChangeLocked()
		s.mu.Unlock()
		switch {
		case st.ctx.Err() != nil:
			return context.Cause(st.ctx)
		case failed != nil:
			return failed
		case received > st.ReceiveOffset:
			return &InjectionError{}
		case eof:
			return &tlsengine.TransportError{End: tlsengine.EndTruncated, Op: "start_tls", Err: io.ErrUnexpectedEOF}
		case written >= st.SendOffset:
			return c.nothingPending(st)
		}
		select {
		case <-changed:
		case <-st.ctx.Done():
		}
	}
}

// nothingPending: in the client's role the peer has to be silent now.
func (c *connection) nothingPending(st *startTLS) error {
	if st.Role == RoleServer {
		return nil
	}
	pending, err := starttls.Pending(c.raw)
	switch {
	case err != nil:
		return tlsengine.NewTransportError("start_tls", err)
	case pending:
		return &InjectionError{}
	}
	return nil
}

// closeFailed closes the socket of a connection that did not become secure.
func (c *connection) closeFailed(err error) {
	if c.aborts() || errors.As(err, new(*InjectionError)) {
		_ = c.socket.Abort()
	} else {
		_ = c.socket.Close()
	}
	c.endWriter()
}

func (c *connection) aborts() bool {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.abortive
}
