package session

import "net/netip"

// route is one leg of the way to a peer: what was asked for, and the address that
// it led to. Through a proxy there are two.
type route struct {
	target Target
	addr   netip.AddrPort
}

// Rejudge asks the policy about every connection that there is, and ends those
// that it refuses now: it is to be called when the policy has changed. A connect
// that is under way meets the new policy by itself. It returns how many were ended.
func (r *Registry) Rejudge() (ended int) {
	for _, s := range r.all() {
		if s.rejudge() {
			ended++
		}
	}
	return ended
}

func (s *Session) rejudge() (ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.conn
	if c == nil || c.ended || c.stopped {
		return false
	}
	err := c.judgeLocked()
	if err == nil {
		return false
	}
	s.lastErr = err
	s.emitLocked(SecurityError{Err: err})
	c.stopLocked(CausePolicy, err, true)
	return true
}

// notePolicy notes which policy was asked last.
func (c *connection) notePolicy() {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.policy = c.s.reg.cfg.Egress.Revision()
}

// judgeLocked asks the policy about the addresses that the connection has. Nobody
// judges who has come to a listener.
func (c *connection) judgeLocked() *PolicyError {
	egress := c.s.reg.cfg.Egress
	for len(c.routes) > 0 {
		c.policy = egress.Revision()
		for _, r := range c.routes {
			if err := egress.CheckAddr(c.s.owner, r.target, r.addr); err != nil {
				return &PolicyError{err}
			}
		}
		if egress.Revision() == c.policy { // all of it was one policy's
			break
		}
	}
	return nil
}
