package resume

import "time"

// Held is what the buffers of both directions cost: their capacity, in bytes.
func (c *Core) Held() int { return c.gen.recv.held + c.gen.send.held }

// Scarce says whether memory is: while it is, each ring takes no more than one
// chunk, so that bytes go on to move. What a caller was told that it may send
// stays true.
func (c *Core) Scarce(now time.Time, on bool) {
	g := &c.gen
	if g.scarce == on {
		return
	}
	g.scarce = on
	if !on && g.number > 0 {
		c.effects |= WakeReader | WakeReceiver
		c.hasten(now) // there is a new send_limit
	}
}

// IsScarce is what Scarce was told last in this generation.
func (c *Core) IsScarce() bool { return c.gen.scarce }

// bound is what a ring may hold that was promised n bytes.
func (g *generation) bound(n int) int {
	if g.scarce {
		return min(n, g.opts.ChunkBytes)
	}
	return n
}

// Shed expires a session that no stream holds before its time, because what it
// holds is needed elsewhere. nil: a stream holds it, or it has expired already.
func (c *Core) Shed(now time.Time) *ExpiredError {
	if c.phase != alive || c.at.epoch > 0 {
		return nil
	}
	c.expire(now)
	final := c.final
	return &final
}

// DetachedSince is since when no stream has held the generation; zero: one does,
// or there was none yet.
func (c *Core) DetachedSince() time.Time { return c.detached }
