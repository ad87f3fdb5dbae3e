package session

import (
	"context"
	"net"
)

// serve makes a connection that l has accepted the session's first, and goes on with
// it. The error is a DrainingError or of the settings; the connection is the
// caller's then.
func (s *Session) serve(conn net.Conn, l *Listener) error {
	defaults, err := s.reg.defaultsOf(s.owner)
	if err != nil {
		return err
	}
	s.mu.Lock() // its owner may have found it already
	settings := s.settings.Over(defaults)
	s.mu.Unlock()
	if _, err := settings.check(&s.reg.cfg); err != nil {
		return err
	}
	remote := addrPort(conn.RemoteAddr())
	eff := s.reg.cfg.effective(settings)
	keepOptions(conn, &eff)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil { // its owner has found and deleted it already
		return s.over
	}
	p := &Permit{limits: &s.reg.limits, owner: s.owner}
	if err := p.begin(); err != nil {
		return err
	}
	if err := s.reg.connectionBegins(); err != nil {
		p.End()
		return err
	}
	c := s.newConnection(ConnectArgs{Target: Target{Addr: remote.Addr(), Port: int(remote.Port())}, Plain: !l.args.StartTLS}, eff, p)
	c.attempt = &Attempt{s: s, decided: make(chan struct{})}
	c.attempt.join(true)
	if err := c.beginLocked(); err != nil {
		p.End()
		return err
	}
	go c.run(func(ctx context.Context) (Phase, error) { return c.acceptPhases(ctx, conn) })
	return nil
}

// acceptPhases take an accepted connection to where bytes move.
func (c *connection) acceptPhases(ctx context.Context, raw net.Conn) (Phase, error) {
	_ = c.connected(raw) // nobody judges who has come
	if c.args.Plain {
		return c.plainOr(raw)
	}
	return c.secureOver(ctx, raw, RoleServer)
}

// offerLocked lets the listener give out the session: its owner has something to do
// with it now.
func (c *connection) offerLocked() {
	if l := c.s.listener; l != nil {
		l.offer(c.s)
	}
}

// claimLocked notes that the owner of an accepted session has called about it; he may
// have found it in a list, before it was offered.
func (s *Session) claimLocked() {
	if s.listener != nil {
		s.listener.leave(s)
	}
}

// unclaimed ends a session that its owner never called about.
func (s *Session) unclaimed(cause CloseCause) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil || !s.listener.leave(s) {
		return
	}
	if c := s.conn; c != nil && !c.ended {
		c.stopLocked(cause, nil, true)
	}
	s.endLocked(ErrNotFound)
}
