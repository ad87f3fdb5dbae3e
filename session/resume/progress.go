package resume

import "time"

// How far bytes move, and how long it takes, before the caller is told: every
// step costs a message.
const (
	progressStep  = 64 << 10
	progressDelay = 25 * time.Millisecond
)

// Progress says how far the caller's bytes have come, exactly, at one moment.
type Progress struct {
	Generation int64
	Accepted   int64 // in the service
	Written    int64 // in the kernel
	SendLimit  int64 // the caller may send up to here
}

func (c *Core) progress() Progress {
	g := &c.gen
	if g.number == 0 {
		return Progress{}
	}
	p := Progress{g.number, g.send.end, g.send.base, g.send.limit}
	if c.mutant == mutantReceivingStopped {
		p.SendLimit = 1 << 20
	}
	if g.open() {
		p.SendLimit = max(p.SendLimit, g.send.end+g.room())
	}
	return p
}

// Progress is how far the caller's bytes have come. Its send_limit is a promise
// from here on: it is for telling a caller without a stream.
func (c *Core) Progress() Progress {
	p := c.progress()
	c.gen.send.limit = p.SendLimit
	return p
}

// report notes that the caller is told the progress now: its send_limit is a
// promise from here on. It says whether there is anything new.
func (c *Core) report() bool {
	p := c.progress()
	c.at.due = time.Time{}
	if p == c.at.reported {
		return false
	}
	c.at.reported = p
	c.gen.send.limit = p.SendLimit
	return true
}

// progressDue: enough has moved, or long enough ago.
func (c *Core) progressDue(now time.Time) bool {
	if c.at.due.IsZero() {
		return false
	}
	p, told := c.progress(), c.at.reported
	step := int64(min(progressStep, c.gen.opts.SendBytes/2+1)) // a small ring is used up earlier
	return !now.Before(c.at.due) ||
		p.Accepted-told.Accepted >= step || p.Written-told.Written >= step || p.SendLimit-told.SendLimit >= step
}

// moved notes that there is progress to be told.
func (c *Core) moved(now time.Time) {
	switch {
	case c.at.epoch == 0 || c.mutant == mutantProgressWithheld:
	case c.at.due.IsZero():
		c.at.due = now.Add(progressDelay)
		c.effects |= NewDue
	}
	if c.progressDue(now) {
		c.effects |= WakeSender
	}
}

// hasten has the progress told at once.
func (c *Core) hasten(now time.Time) {
	if c.at.epoch > 0 {
		c.at.due = now
	}
	c.effects |= WakeSender
}
