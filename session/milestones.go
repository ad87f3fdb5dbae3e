package session

import (
	"net"

	"securesocket/tlsengine"
)

// How far a connection has come: each step is noted once, unless the connection was
// stopped meanwhile.

// connected notes that TCP is up. The error is a PolicyError: the policy has
// changed since the socket was judged.
func (c *connection) connected(raw net.Conn, routes ...route) error {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	c.raw, c.routes = raw, routes
	c.local, c.remote = addrPort(raw.LocalAddr()), addrPort(raw.RemoteAddr())
	c.setNoDelayLocked(*s.effectiveLocked().NoDelay)
	if c.stopped {
		return nil
	}
	if err := c.judgeLocked(); err != nil { // from now on Rejudge finds it
		return err
	}
	s.mode = ModePlain
	s.emitLocked(TCPConnected{c.local, c.remote})
	return nil
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
	c.settings, c.trusted, c.trustedAbove, c.identities = nil, nil, nil, nil // what held for connecting alone
	_ = c.s.giveLocked(true)
	c.permit.endHandshake()
	if c.flow == nil {
		c.flow = c.s.reg.limits.bytes.Flow(c.s.owner)
	}
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
