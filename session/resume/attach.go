package resume

import (
	"time"
)

// maxSeqJump is how far ahead of the last one an attach_seq may be.
const maxSeqJump = 1 << 20

// attachment is the stream that holds the session.
type attachment struct {
	epoch    int64     // its attach_seq; 0: there is none
	events   int64     // seq of the last event that was sent
	reported Progress  // what the caller was told last
	due      time.Time // when it has to be told what moved since; zero: nothing did
}

// AttachArgs is what an attach brings.
type AttachArgs struct {
	Token      []byte // may be empty until the session's first attach
	Trusted    bool   // the token is not asked for: an Open that came again, of generation 1
	Seq        int64  // 0 counts as 1
	Offset     int64  // the next byte that the caller expects
	Generation int64  // of Offset; 0 = the current
	EventSeq   int64  // the last event that the caller has
}

// Attached is what the caller is told first.
type Attached struct {
	Epoch      int64 // what every call for this attachment names
	Superseded int64 // the epoch that held the session until now; 0: none
	Generation int64 // 0: there is none yet
	Accepted   int64 // bytes of the caller that the service has
	Written    int64 // of them, in the kernel
	SendLimit  int64 // how far the caller may send
	Offset     int64 // the next data starts here
}

// Attach takes the session: the stream that held it before is superseded. The
// service rewinds to what the caller has. Those that fail are limited, but not
// those that come late, which an honest caller's do; nor do they stand in the way
// of one that does not fail. The error is a TokenError, a
// SupersededError, an OffsetError, a LimitError, an ExpiredError or ErrGone; the
// seq is not consumed then, and whoever holds the session keeps it.
func (c *Core) Attach(now time.Time, args AttachArgs) (Attached, error) {
	if err := c.over(now); err != nil {
		return Attached{}, err
	}
	args.Seq = max(args.Seq, 1)
	if err := c.judge(&args); err != nil {
		if _, late := err.(*SupersededError); late { //nolint:errorlint // as judge made it
			return Attached{}, err
		}
		if wait := c.failed.wait(now); wait > 0 {
			return Attached{}, &LimitError{true, wait}
		}
		c.failed.take(now)
		return Attached{}, err
	}
	if wait := c.attaches.wait(now); wait > 0 {
		return Attached{}, &LimitError{false, wait}
	}
	c.attaches.take(now)
	g := &c.gen
	switch {
	case c.mutant == mutantNotRewound:
	case c.keepsSent(): // it goes on where it was: nobody relies on what was sent
	case g.recv.kept && args.Generation == g.number && c.mutant != mutantFreedOnSend:
		g.recv.cursor = args.Offset
	default: // what was sent is gone, or the offset is of another generation
		g.recv.cursor = g.recv.base
	}
	if c.mutant == mutantAttachmentsBuffer {
		g.recv.freeTo(g.recv.end)
		g.recv.cursor = g.recv.end
	}
	old := c.at.epoch
	if old > 0 {
		c.effects |= Superseded | WakeReceiver
	}
	c.lastSeq = args.Seq
	c.detached = time.Time{}
	c.at = attachment{epoch: args.Seq, events: args.EventSeq}
	c.report()
	p := c.at.reported
	c.effects |= WakeSender | WakeReader | NewDeadline
	return Attached{args.Seq, old, g.number, p.Accepted, p.Written, p.SendLimit, g.recv.cursor}, nil
}

// judge returns why an attach cannot be, in the order of what a caller may
// learn; it fills in the generation.
func (c *Core) judge(args *AttachArgs) error {
	g := &c.gen
	switch {
	case len(args.Token) == 0 && c.lastSeq > 0 && !args.Trusted:
		return &TokenError{Missing: true}
	case len(args.Token) > 0 && !c.token.Equal(args.Token):
		return &TokenError{}
	case c.mutant == mutantNoAttachSeq:
	case args.Seq <= c.lastSeq:
		return &SupersededError{LastSeq: c.lastSeq}
	case args.Seq > c.lastSeq+maxSeqJump:
		return &OffsetError{"attach_seq", c.lastSeq, args.Seq}
	}
	switch {
	case args.EventSeq < 0 || args.EventSeq > c.events.lastSeq:
		return &OffsetError{"received_event_seq", c.events.lastSeq, args.EventSeq}
	case args.Generation < 0 || args.Generation > g.number:
		return &OffsetError{"generation", g.number, args.Generation}
	case args.Generation == 0:
		args.Generation = g.number
	}
	if args.Generation == g.number {
		args.Offset = c.Heard(args.Offset, args.EventSeq)
	}
	switch {
	case args.Generation != g.number && c.mutant != mutantGenerationUnchecked:
		return nil // of a generation that is over: its offset has no meaning now
	case args.Offset < 0 || args.Offset > g.recv.end:
		return &OffsetError{"received_offset", g.recv.end, args.Offset}
	case g.recv.kept && !c.keepsSent() && args.Offset < g.recv.base && c.mutant != mutantFreedOnSend:
		return &OffsetError{"received_offset", g.recv.base, args.Offset}
	}
	return nil
}

// Detach lets the session go: its grace begins. It says whether the attachment
// held it; where another one does, nothing happens.
func (c *Core) Detach(now time.Time, epoch int64) bool {
	if epoch != c.at.epoch && c.mutant != mutantLateDetach || c.at.epoch == 0 || epoch == 0 {
		return false
	}
	c.at = attachment{}
	c.detached = now
	c.effects |= WakeSender | WakeReceiver | NewDeadline
	return true
}

// Renew starts the grace of a session anew that is not attached.
func (c *Core) Renew(now time.Time) {
	if c.at.epoch == 0 {
		c.detached = now
		c.effects |= NewDeadline
	}
}

// Ack says that the caller has the received bytes before offset and the events
// up to eventSeq; 0 says nothing. What was acked before is not an error; what was
// never sent is an OffsetError. Epoch 0 is a unary Read. The other errors are as
// Data's.
func (c *Core) Ack(now time.Time, epoch, generation, offset, eventSeq int64) error {
	drop, err := c.admit("ack", now, epoch, generation)
	if err != nil {
		return err
	}
	r := &c.gen.recv
	sent, end := c.at.events, r.cursor
	if epoch == 0 { // what a caller without a stream was sent is not known
		sent, end = c.events.lastSeq, r.end
		offset = c.Heard(offset, eventSeq)
	}
	switch {
	case eventSeq < 0 || eventSeq > sent:
		return &OffsetError{"event_seq", sent, eventSeq}
	case !drop && (offset < 0 || offset > end):
		return &OffsetError{"received_offset", end, offset}
	}
	c.events.ack(eventSeq)
	if !drop && r.kept {
		c.freeReceived(offset)
	}
	if c.Settled() {
		c.effects |= WakeSender
	}
	return nil
}

// admit reads what every frame of a caller says of itself. drop: it belongs to
// another generation than the current.
func (c *Core) admit(what string, now time.Time, epoch, generation int64) (drop bool, err error) {
	if err := c.over(now); err != nil {
		return false, err
	}
	switch {
	case epoch == 0 && c.at.epoch != 0:
		return false, &AttachedError{}
	case epoch == 0:
		c.Renew(now)
	case epoch != c.at.epoch && (c.mutant != mutantNoEpochCheck || c.at.epoch == 0):
		return false, &SupersededError{LastSeq: c.lastSeq}
	}
	switch {
	case c.gen.number == 0:
		return false, ErrNoGeneration
	case generation == 0 && c.gen.number > 1:
		return false, &GenerationError{what}
	case generation == 0: // for those who connect once
		generation = 1
	case generation > c.gen.number && epoch == 0:
		return false, &OffsetError{what + ".generation", c.gen.number, generation}
	}
	return generation != c.gen.number && c.mutant != mutantGenerationUnchecked, nil
}
