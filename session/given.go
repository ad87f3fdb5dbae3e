package session

import (
	"crypto/x509"

	"securesocket/tlsengine/truststore"
)

// giveLocked counts what the session was given, and what its connection still holds of what
// it was begun with, as they are now. The error is a LimitError: there is no room for what
// is more, and nothing has changed. Where that is there already, however it came, forced
// counts it all the same.
func (s *Session) giveLocked(forced bool) error {
	next := s.giftLocked()
	if err := s.givens.replace(s.given, next, forced); err != nil {
		return err
	}
	s.given = next
	if !next.empty() && s.attachment == nil {
		s.reg.shedSoon()
	}
	return nil
}

func (s *Session) giftLocked() gift {
	var g gift
	if s.over == nil {
		g.add(s.certificates.Own, s.settings.Identities)
	}
	c := s.conn
	if c != nil && c.ended {
		c = nil
	}
	if c != nil {
		g.add(c.trusted, c.identities)
	}
	g = large(g)
	if c != nil { // his owner's defaults are no part of what is small of a session
		for _, set := range large(giftOf(c.trustedAbove, nil)).sets {
			g.add(set, nil)
		}
	}
	return g
}

// takenLocked lets go of what a session that is over, or a connection that has ended, was
// given: a stream that nobody reads may hold the session for long.
func (s *Session) takenLocked() {
	if c := s.conn; c != nil && c.ended {
		c.trusted, c.trustedAbove, c.identities = nil, nil, nil
		if c.settings != nil {
			c.settings.Identities = nil
		}
	}
	if s.over != nil {
		s.certificates, s.settings.Identities = truststore.Level{}, nil
	}
	_ = s.giveLocked(true)
}

// trusting notes what a handshake trusts, for as long as it does: its caller may change it
// meanwhile.
func (c *connection) trusting(levels []scoped) {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.ended {
		return
	}
	for _, l := range levels {
		switch l.scope {
		case ScopeSession:
			c.trusted = l.Own
		case ScopeDefaults:
			c.trustedAbove = l.Own
		}
	}
	_ = s.giveLocked(true)
}

// takeGift counts what a listener, or a level of trust, is given in the place of what it had.
// The error is a LimitError, as with giveLocked.
func (r *Registry) takeGift(owner string, from, to gift, forced bool) error {
	if from.empty() && to.empty() {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.tidyLocked(owner)
	return r.ownerLocked(owner).givens.replace(from, to, forced)
}

// large is a gift that counts: nothing, where it is small.
func large(g gift) gift {
	if g.small() {
		return gift{}
	}
	return g
}

// shared are the same certificates, where somebody holds them already.
func shared(certs []*x509.Certificate) []*x509.Certificate {
	out := make([]*x509.Certificate, len(certs))
	for i, cert := range certs {
		out[i] = parsed.share(cert)
	}
	return out
}
