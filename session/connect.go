package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"securesocket/session/starttls"
	"securesocket/tlsengine"
)

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
	a, err := s.join(req, pinned)
	if a != nil || err != nil {
		return a, err
	}
	// What is refused for a limit leaves the connection that there is as it is.
	p, err := s.Admit(args)
	if err != nil {
		return nil, err
	}
	return s.beginAnew(args, req, pinned, p)
}

// Admit takes what a connect needs of the limits, for BeginAdmitted. The error is a
// LimitError or a ResourceError.
func (s *Session) Admit(args ConnectArgs) (*Permit, error) {
	s.mu.Lock()
	via := s.settings.Proxy
	s.mu.Unlock()
	p := &Permit{limits: &s.reg.limits, owner: s.owner}
	if err := p.begin(); err != nil {
		return nil, err
	}
	if err := s.reg.newDestination(s.owner, args.Target, via); err != nil {
		p.End()
		return nil, err
	}
	return p, nil
}

// BeginAdmitted is Begin, pinned, with what Admit gave; it has given that back where it
// fails.
func (s *Session) BeginAdmitted(args ConnectArgs, p *Permit) error {
	s.connecting.Lock()
	defer s.connecting.Unlock()
	_, err := s.beginAnew(args, Request{}, true, p)
	return err
}

// join returns the attempt of the same request, or nil.
func (s *Session) join(req Request, pinned bool) (*Attempt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil {
		return nil, s.over
	}
	s.claimLocked()
	a, found, err := s.requests.find(req, time.Now())
	if found {
		a.join(pinned)
	}
	return a, err
}

// beginAnew begins an attempt that has its permit, and gives that back where it fails.
func (s *Session) beginAnew(args ConnectArgs, req Request, pinned bool, p *Permit) (a *Attempt, err error) {
	defer func() {
		if err != nil {
			p.End()
		}
	}()
	defaults, err := s.reg.defaultsOf(s.owner)
	if err != nil {
		return nil, err
	}
	settings, err := s.clear(defaults)
	if err != nil {
		return nil, err
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
	s.unjudgedLocked()
	s.lastErr = nil
	if s.conn != nil {
		s.conn.attempt.slimLocked()
	}
	c := s.newConnection(args, s.reg.cfg.effective(settings), p)
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
	_ = s.giveLocked(true) // its settings may have been changed since they were read
	s.effectsLocked()
	s.neverExpireLocked()
	return nil
}

// clear returns the settings for a new attempt, and begins to end the connection that
// is in its way.
func (s *Session) clear(defaults *Settings) (Settings, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil {
		return Settings{}, s.over
	}
	settings := s.settings
	if defaults != nil {
		settings = settings.Over(defaults)
		if _, err := settings.check(&s.reg.cfg); err != nil {
			return Settings{}, err // each is allowed, but not both together
		}
	}
	if c := s.conn; c != nil && !c.ended {
		c.stopLocked(CauseReconnect, nil, false)
	}
	return settings, nil
}

// phases take a connection to where bytes move. On failure they say in which one,
// and the socket is closed.
type phases func(ctx context.Context) (Phase, error)

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

var errConnectTimeout = errors.New("connect_timeout")

func (c *connection) connectPhases(ctx context.Context) (Phase, error) {
	s := c.s
	c.mark(spanPolicy, true)
	err := s.reg.checkName(s.owner, c.target)
	c.mark(spanPolicy, false)
	c.notePolicy()
	if err != nil {
		return PhasePolicy, err
	}
	if p := c.settings.Proxy; p != nil {
		if err := s.reg.checkName(s.owner, p.Target); err != nil {
			return PhasePolicy, err
		}
	}
	c.setState(StateHostLookup)
	addrs, err := c.lookup(ctx, c.settings.Family)
	c.notePolicy()
	if err != nil {
		return policyOr(PhaseDNS, err), err
	}
	found := make([]netip.Addr, len(addrs))
	for i, a := range addrs {
		found[i] = a.Addr()
	}
	c.emit(HostFound{found})
	if err := c.flashPolicy(ctx, addrs); err != nil {
		return policyOr(PhaseTCP, err), err
	}

	c.setState(StateConnecting)
	c.mark(spanTCP, true)
	raw, routes, err := c.dial(ctx, addrs, c.settings)
	c.mark(spanTCP, false)
	if err != nil {
		return policyOr(PhaseTCP, err), err
	}
	if err := c.connected(raw, routes...); err != nil {
		_ = raw.Close()
		return PhasePolicy, err
	}
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
