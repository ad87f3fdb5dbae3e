package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"securesocket/session/starttls"
	"securesocket/tlsengine"
)

// Attempt is a connect that was begun. Several callers may wait for it.
type Attempt struct {
	s       *Session
	req     Request
	decided chan struct{} // closed once err is set

	// Guarded by the session's mu.
	err     error
	waiting int  // calls of Begin that have not ended their Wait
	pinned  bool // goes on although nobody waits
}

// join counts who is interested, under the lock that found the attempt, so that
// it is not given up between Begin and Wait.
func (a *Attempt) join(pinned bool) {
	if pinned {
		a.pinned = true
	} else {
		a.waiting++
	}
}

// ConnectArgs say whom to connect to, and what to speak first.
type ConnectArgs struct {
	Target   Target
	Plain    bool   // TLS is left to StartTLS, or out
	StartTLS string // the protocol in which the peer is asked for TLS, as starttls has it; empty: none
}

// Validate says whether Begin would refuse them; the error is a FieldError.
func (a *ConnectArgs) Validate() error {
	switch {
	case a.StartTLS == "":
		return nil
	case !starttls.Known(a.StartTLS):
		return &FieldError{"start_tls_protocol", fmt.Sprintf("%.64q is not one of %s", a.StartTLS, strings.Join(starttls.Protocols(), ", "))}
	case a.Plain:
		return &FieldError{"start_tls_protocol", "asks for TLS, and plain for none"}
	}
	return nil
}

// Begin starts to connect, or joins the attempt that the same request began
// before. An existing connection is closed first. Who does not pin the attempt
// must call Wait once; it is given up when all of these have given up.
func (s *Session) Begin(args ConnectArgs, req Request, pinned bool) (*Attempt, error) {
	if err := args.Validate(); err != nil {
		return nil, err
	}
	s.connecting.Lock()
	defer s.connecting.Unlock()
	defaults, err := s.reg.defaultsOf(s.owner)
	if err != nil {
		return nil, err
	}
	a, settings, err := s.joinOrClear(req, pinned, defaults)
	if a != nil || err != nil {
		return a, err
	}
	s.waitConnection()

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil {
		return nil, s.over
	}
	if err := s.reg.connectionBegins(); err != nil {
		return nil, err
	}
	s.status, s.report = tlsengine.StatusUnknown, nil
	s.lastErr = nil
	if s.conn != nil {
		s.conn.attempt.slimLocked()
	}
	c := s.newConnection(args, s.reg.cfg.effective(settings))
	c.attempt = &Attempt{s: s, req: req, decided: make(chan struct{})}
	c.attempt.join(pinned)
	if err := c.beginLocked(); err != nil {
		return nil, err
	}
	s.requests.remember(req, c.attempt, c.timeline.began, maxSessionRequests)
	go c.run(c.connectPhases)
	return c.attempt, nil
}

// beginLocked makes c the session's next generation. The error is an ExpiredError.
func (c *connection) beginLocked() error {
	s := c.s
	now := time.Now()
	if c.gen = s.core.Begin(now, c.streamOptions()); c.gen == 0 {
		s.reg.connectionEnded()
		return s.obeyedLocked("connect", s.core.Tick(now))
	}
	s.conn = c
	s.effectsLocked()
	s.neverExpireLocked()
	return nil
}

// joinOrClear returns the attempt of the same request, or else the settings for a
// new one, and begins to end the connection that is in its way.
func (s *Session) joinOrClear(req Request, pinned bool, defaults *Settings) (*Attempt, Settings, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil {
		return nil, Settings{}, s.over
	}
	s.claimLocked()
	a, found, err := s.requests.find(req, time.Now())
	if err != nil {
		return nil, Settings{}, err
	}
	if found {
		a.join(pinned)
		return a, Settings{}, nil
	}
	settings := s.settings
	if defaults != nil {
		settings = settings.Over(defaults)
		if _, err := settings.check(&s.reg.cfg); err != nil {
			return nil, Settings{}, err // each is allowed, but not both together
		}
	}
	if c := s.conn; c != nil && !c.ended {
		c.stopLocked(CauseReconnect, nil, false)
	}
	return nil, settings, nil
}

// Wait returns when the connection is secure, or plain as asked for (nil), or has failed. When ctx ends
// first the attempt is given up, if nobody else waits for it.
func (a *Attempt) Wait(ctx context.Context) error {
	a.await(ctx)
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	a.waiting--
	select {
	case <-a.decided:
		return a.err
	default:
	}
	if c := a.s.conn; a.waiting == 0 && !a.pinned && c != nil && c.attempt == a {
		c.stopLocked(CauseLocal, ErrCancelled, true)
		a.forgetLocked()
	}
	return ErrCancelled
}

// await waits for the outcome or ctx. Who waits for a StartTLS without a stream is
// there, and renews the grace.
func (a *Attempt) await(ctx context.Context) {
	for {
		a.s.mu.Lock()
		a.s.core.Renew(time.Now())
		a.s.renewLocked()
		a.s.effectsLocked()
		timer := time.NewTimer(a.s.renewInLocked())
		a.s.mu.Unlock()
		select {
		case <-a.decided:
		case <-ctx.Done():
		case <-timer.C:
			continue
		}
		timer.Stop()
		return
	}
}

// decide sets the outcome, once. An attempt that was given up is forgotten: the
// same request may begin it again.
func (a *Attempt) decide(err error, c *connection) {
	select {
	case <-a.decided:
		return
	default:
	}
	if err == nil && c.ended {
		err = ErrCancelled // by Close, DeleteSession or another Connect
		if cause := c.overallCause(); cause == CauseIdleTimeout || cause == CauseDetachExpired {
			err = &ClosedError{Cause: cause}
		}
	}
	a.err = err
	if errors.Is(err, ErrCancelled) {
		a.forgetLocked()
	}
	close(a.decided)
}

// forgetLocked lets the same request begin anew, unless it has.
func (a *Attempt) forgetLocked() {
	if e, ok := a.s.requests.entries[a.req.ID]; ok && e.value == a {
		a.s.requests.forget(a.req.ID)
	}
}

// slimLocked drops what a retry of an attempt that is over does not need: the
// chains of a report.
func (a *Attempt) slimLocked() {
	slim := func(r *tlsengine.Report) *tlsengine.Report {
		out := &tlsengine.Report{Status: r.Status, Basis: r.Basis}
		for _, p := range r.Problems {
			p.Certificate = nil
			out.Problems = append(out.Problems, p)
		}
		return out
	}
	if ce, ok := errors.AsType[*tlsengine.CertificateError](a.err); ok {
		a.err = &tlsengine.CertificateError{Report: slim(ce.Report)}
	} else if de, ok := errors.AsType[*DecisionError](a.err); ok {
		a.err = &DecisionError{Report: slim(de.Report), Timeout: de.Timeout, Limit: de.Limit}
	}
}

// phases take a connection to where bytes move. On failure they say in which one,
// and the socket is closed.
type phases func(ctx context.Context) (Phase, error)

// run is the goroutine that connects. It ends with that, because the handshake
// has made its stack large.
func (c *connection) run(through phases) {
	growStack()
	if phase, err := c.connect(through); err != nil {
		defer c.finish()
		c.connectFailed(phase, err)
		return
	}
	go c.live()
}

// handshakeStack is what a handshake and its judgement need of a stack.
const handshakeStack = 10 << 10

// growStack makes the stack large enough for a handshake while there is nothing
// on it yet: to grow it step by step copies every frame each time.
//
//go:noinline
func growStack() {
	var room [handshakeStack]byte
	runtime.KeepAlive(&room)
}

// live is the goroutine of a connection whose bytes move: it reads until the end,
// enters TLS where a StartTLS came, and cleans up.
func (c *connection) live() {
	defer c.finish()
	for c.use() {
		if phase, err := c.secure(); err != nil {
			c.connectFailed(phase, err)
			c.closeFailed(err)
			return
		}
	}
}

// use reads until the connection has ended, or TLS is to begin (true).
func (c *connection) use() (secure bool) {
	tornDown := make(chan struct{})
	stop := context.AfterFunc(c.ctx, func() { defer close(tornDown); c.teardown() })
	c.guard(c.readLoop)
	if c.secureDue() && stop() {
		return true
	}
	select {
	case <-c.writerDone:
	case <-c.ctx.Done():
	}
	c.cancel(nil)
	<-tornDown
	c.endWriter()
	return false
}

// connect takes the connection through its phases.
func (c *connection) connect(through phases) (Phase, error) {
	timeout := *c.settings.ConnectTimeout
	ctx, cancel := context.WithTimeoutCause(c.ctx, timeout, errConnectTimeout)
	defer cancel()
	var phase Phase
	err := Guard(c.s.reg.cfg.Logger, func() (err error) {
		phase, err = through(ctx)
		return err
	})
	if errors.Is(err, errConnectTimeout) {
		err = &TimeoutError{phase, timeout, "connect_timeout"}
	}
	return phase, err
}

// guard runs a half of the connection; a panic ends the connection.
func (c *connection) guard(half func()) {
	err := Guard(c.s.reg.cfg.Logger, func() error { half(); return nil })
	if err == nil {
		return
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.failLocked(CauseError, err)
}

// Guard runs f and turns a panic into an InternalError: what a peer sends must
// not end the service for everybody.
func Guard(log *slog.Logger, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = Internal(log, "panic", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	return f()
}

var errConnectTimeout = errors.New("connect_timeout")

func (c *connection) connectPhases(ctx context.Context) (Phase, error) {
	s := c.s
	c.mark(spanPolicy, true)
	err := s.reg.cfg.Egress.CheckName(c.target)
	c.mark(spanPolicy, false)
	if err != nil {
		return PhasePolicy, &PolicyError{err}
	}

	if p := c.settings.Proxy; p != nil {
		if err := s.reg.cfg.Egress.CheckName(p.Target); err != nil {
			return PhasePolicy, &PolicyError{err}
		}
	}
	c.setState(StateHostLookup)
	addrs, err := c.lookup(ctx, c.settings.Family)
	if err != nil {
		return policyOr(PhaseDNS, err), err
	}
	found := make([]netip.Addr, len(addrs))
	for i, a := range addrs {
		found[i] = a.Addr()
	}
	c.emit(HostFound{found})

	c.setState(StateConnecting)
	c.mark(spanTCP, true)
	raw, err := c.dial(ctx, addrs, c.settings)
	c.mark(spanTCP, false)
	if err != nil {
		return policyOr(PhaseTCP, err), err
	}
	c.connected(raw)
	if c.args.Plain {
		return c.plainOr(raw)
	}
	return c.secureOver(ctx, raw, RoleClient)
}

// plainOr has bytes move over raw as they are.
func (c *connection) plainOr(raw net.Conn) (Phase, error) {
	if !c.plain(raw) {
		_ = raw.Close()
		return PhaseTCP, context.Cause(c.ctx)
	}
	return 0, nil
}

// secureOver has bytes move over TLS from the beginning.
func (c *connection) secureOver(ctx context.Context, raw net.Conn, role Role) (Phase, error) {
	limit := *c.settings.HandshakeTimeout
	ctx, clock, stop := startClock(ctx, limit, &TimeoutError{PhaseHandshake, limit, HandshakeClock})
	defer stop()
	if err := c.askForTLS(ctx, raw); err != nil {
		_ = raw.Close()
		return PhaseHandshake, err
	}
	c.tlsBegins(modes[role])
	conn, err := c.handshake(ctx, clock, role, nil)
	if err != nil {
		_ = raw.Close()
		return certificateOr(PhaseHandshake, err), err
	}
	if !c.encrypted(conn) {
		_ = conn.Close()
		return PhaseHandshake, context.Cause(c.ctx)
	}
	return 0, nil
}

// askForTLS speaks the protocol in which the peer wants to be asked for TLS, if
// there is one.
func (c *connection) askForTLS(ctx context.Context, raw net.Conn) error {
	if c.args.StartTLS == "" {
		return nil
	}
	c.setState(StateConnected)
	greeting, err := starttls.Open(ctx, raw, c.args.StartTLS, c.target.Host())
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.greeting = greeting
	return dialogueError(ctx, err)
}

// dialogueError gives an error of the dialogue before TLS its kind, where it is the
// network's or the clock's.
func dialogueError(ctx context.Context, err error) error {
	switch {
	case err == nil, errors.As(err, new(*starttls.RefusedError)), errors.As(err, new(*starttls.ReplyError)), errors.As(err, new(*InjectionError)):
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return tlsengine.NewTransportError("start_tls", err)
}

var modes = map[Role]Mode{RoleClient: ModeTLSClient, RoleServer: ModeTLSServer}

func policyOr(p Phase, err error) Phase {
	if _, ok := errors.AsType[*PolicyError](err); ok {
		return PhasePolicy
	}
	return p
}

func certificateOr(p Phase, err error) Phase {
	if _, ok := errors.AsType[*tlsengine.CertificateError](err); ok {
		return PhaseCertificate
	}
	if _, ok := errors.AsType[*DecisionError](err); ok {
		return PhaseCertificate
	}
	return p
}

func (c *connection) emit(k EventKind) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if !c.stopped {
		c.s.emitLocked(k)
	}
}

func (c *connection) setState(next State) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if !c.stopped {
		c.s.setStateLocked(next)
	}
}

// connected notes that TCP is up.
func (c *connection) connected(raw net.Conn) {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	c.raw = raw
	c.local, c.remote = addrPort(raw.LocalAddr()), addrPort(raw.RemoteAddr())
	c.setNoDelayLocked(*s.effectiveLocked().NoDelay)
	if c.stopped {
		return
	}
	s.mode = ModePlain
	s.emitLocked(TCPConnected{c.local, c.remote})
}

// plain notes that bytes move as they are; false: the connection was stopped
// meanwhile.
func (c *connection) plain(raw net.Conn) bool {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.stopped {
		return false
	}
	s.core.Keep(true)
	c.socket = tlsengine.NewPlain(raw)
	s.setStateLocked(StateConnected)
	c.upLocked()
	return true
}

// tlsBegins notes that the handshake begins.
func (c *connection) tlsBegins(mode Mode) {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.stopped {
		return
	}
	s.mode = mode
	s.emitLocked(ModeChanged{mode})
	s.setStateLocked(StateHandshaking)
}

// encrypted notes that TLS is up; false: the connection was stopped meanwhile.
func (c *connection) encrypted(conn *tlsengine.Conn) bool {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.stopped {
		return false
	}
	c.tls, c.socket, c.start = conn, conn, nil
	s.core.Keep(false)
	s.core.LetGo()
	s.setStateLocked(StateEncrypted)
	s.emitLocked(SecureConnected{TLS: conn.State(), Report: conn.Report(), Greeting: c.greeting})
	c.upLocked()
	return true
}

// upLocked lets bytes move: over TCP as it is, or over TLS, from the beginning or
// after a while.
func (c *connection) upLocked() {
	c.settings = nil // what held for connecting alone
	c.writeFirstLocked()
	c.touchLocked()
	if c.idle == nil {
		c.watchIdleLocked()
	}
	if c.s.attachment == nil {
		c.watchDetachLocked()
	}
	c.attempt.decide(nil, c)
	c.offerLocked()
	if c.closeWhenUp {
		c.letGoLocked()
	}
}

// connectFailed stores the failure of connecting and emits its events.
func (c *connection) connectFailed(phase Phase, err error) {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.stopped {
		return // its cause is known, and it is not an error
	}
	c.stopped = true
	c.cause, c.failure = connectCause(err), err
	if c.socket != nil {
		c.endHalvesLocked(c.cause)
	}
	c.endBytesLocked(c.cause)
	c.cancel(err)
	if pe, ok := errors.AsType[*PolicyError](err); ok {
		c.ioError = true
		s.lastErr = err
		s.emitLocked(SecurityError{Err: pe})
		return
	}
	if ce, ok := errors.AsType[*tlsengine.CertificateError](err); ok {
		s.emitLocked(CertificateError{Report: ce.Report})
	}
	c.emitFailureLocked(phase)
}

// connectCause is the cause of the end of a generation that never was secure.
func connectCause(err error) CloseCause {
	if _, ok := errors.AsType[*PolicyError](err); ok {
		return CausePolicy
	}
	if ne, ok := errors.AsType[*NetworkError](err); ok && ne.Kind == NetworkReset {
		return CausePeerReset
	}
	return causeOf(err)
}

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}
