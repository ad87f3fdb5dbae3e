package resume

import (
	"time"

	"securesocket/tlsengine/secret"
)

// Effects say who may go on after a call. To wake one too often does no harm.
type Effects uint16

// The effects.
const (
	WakeReader   Effects = 1 << iota // Room may have grown, or the reading is over
	WakeWriter                       // NextWrite may have something
	WakeSender                       // Next may have something, an error, or an earlier Wait
	WakeReceiver                     // a Data that was full may fit, or has become an error
	Superseded                       // an attachment lost the session: its handler returns
	NewDeadline                      // Deadline has changed
	NewDue                           // Due has changed: the sender is to be woken then
)

// How long an unattached generation is kept, and the final counts after it.
const (
	DefaultGrace  = time.Minute
	MaxGrace      = 10 * time.Minute
	ExpiredMemory = 10 * time.Minute
)

// Config is what a Core works with.
type Config struct {
	Token [32]byte // what an attach after the first has to bring
	// Alloc returns an empty Buffer with the capacity n; nil: the heap's.
	Alloc func(n int) *Buffer
}

// Options hold for one generation. Zero is the default that the comment names.
type Options struct {
	Resumable    bool
	ReceiveBytes int           // the ring of received bytes; 1 MiB
	SendBytes    int           // the ring of accepted bytes; 1 MiB
	ChunkBytes   int           // what is read at once, and the unit of both rings; 32 KiB, at most the smaller ring
	Grace        time.Duration // DefaultGrace; at most MaxGrace
}

func (o Options) withDefaults() Options {
	for _, p := range []*int{&o.ReceiveBytes, &o.SendBytes} {
		if *p <= 0 {
			*p = 1 << 20
		}
	}
	if o.ChunkBytes <= 0 {
		o.ChunkBytes = 32 << 10
	}
	o.ChunkBytes = min(o.ChunkBytes, o.ReceiveBytes, o.SendBytes)
	if o.Grace <= 0 {
		o.Grace = DefaultGrace
	}
	o.Grace = min(o.Grace, MaxGrace)
	return o
}

// generation is one connection's worth of bytes.
type generation struct {
	number   int64 // 0: there was none yet
	opts     Options
	recv     receiving
	send     sending
	terminal int64 // seq of the event that ended it; 0: it goes on
	rewound  bool
	back     int64 // Rewind went back to here
	backSeq  int64 // the last event before that
	scarce   bool
}

type phase uint8

const (
	alive phase = iota
	expired
	gone
)

// Core is the state of one session's data stream. Made by New.
type Core struct {
	cfg    Config       // without its token
	token  secret.Bytes // in the place of that, so that no dump of a Core has it
	mutant mutant       // 0, but in tests

	gen      generation
	events   eventLog
	at       attachment
	lastSeq  int64     // the largest attach_seq that was accepted
	detached time.Time // since when nobody has held the generation; zero: attached, or never connected
	attaches limit
	failed   limit
	phase    phase
	final    ExpiredError // once expired
	forget   time.Time    // when the final counts go
	effects  Effects
}

// New returns a Core without a generation.
func New(cfg Config) *Core {
	token := secret.Copy(cfg.Token[:])
	cfg.Token = [32]byte{}
	return &Core{
		cfg:      cfg,
		token:    token,
		attaches: limit{every: attachEvery, burst: attachBurst},
		failed:   limit{every: failedEvery, burst: failedBurst},
	}
}

// Begin starts the next generation and returns its number, or 0 once the session
// has expired. What belongs to the old one is dropped, but for its events.
func (c *Core) Begin(now time.Time, opts Options) int64 {
	if c.over(now) != nil {
		return 0
	}
	g := &c.gen
	g.recv.drop()
	g.send.drop()
	*g = generation{number: g.number + 1, opts: opts.withDefaults()}
	g.send.finish, g.send.hold, g.send.limit = -1, -1, g.room()
	g.recv.kept = g.opts.Resumable
	c.effects |= WakeReader | WakeWriter | WakeReceiver
	c.Renew(now)
	c.hasten(now) // there is a new send_limit
	return g.number
}

// Generation is the number of the current one; 0: there was none yet.
func (c *Core) Generation() int64 { return c.gen.number }

// LastSeq is the largest attach_seq that was accepted; 0: none was.
func (c *Core) LastSeq() int64 { return c.lastSeq }

// LastEvent is the seq of the last event; 0: there was none.
func (c *Core) LastEvent() int64 { return c.events.lastSeq }

// Kept are the events that are not acked, in order. They are not to be changed.
func (c *Core) Kept() []Event { return c.events.events }

// Terminal is the seq of the event that ended the current generation; 0: it goes
// on, or there was none yet.
func (c *Core) Terminal() int64 { return c.gen.terminal }

// Resumable says whether the current generation is.
func (c *Core) Resumable() bool { return c.gen.opts.Resumable }

// Delivered is the next received byte that the attachment will be sent.
func (c *Core) Delivered() int64 { return c.gen.recv.cursor }

// Due is when the sender has to be woken; zero: only WakeSender is.
func (c *Core) Due() time.Time { return c.at.due }

// Epoch is the attachment that holds the session; 0: none does.
func (c *Core) Epoch() int64 { return c.at.epoch }

// Counts are the current generation's, or the last one's once it has expired.
func (c *Core) Counts() (accepted, written, received int64) {
	if c.phase != alive {
		return c.final.Accepted, c.final.Written, c.final.Received
	}
	return c.gen.send.end, c.gen.send.base, c.gen.recv.end
}

// Settled says that the generation has ended and nothing of it is owed to the
// caller: its bytes and its last event were acked, or sent where nothing has to
// be acked. It holds too where there was none.
func (c *Core) Settled() bool {
	g := &c.gen
	if g.number == 0 {
		return true
	}
	told := c.events.acked
	if !g.opts.Resumable {
		told = max(told, c.at.events)
	}
	return g.terminal > 0 && told >= g.terminal && len(g.recv.segments) == 0
}

// Effects returns who may go on since it was asked last.
func (c *Core) Effects() Effects {
	e := c.effects
	c.effects = 0
	return e
}

// Deadline is when Tick has to be called; zero: nothing is pending. Only what is
// resumable has a grace, and what is settled has none: it waits for nobody.
func (c *Core) Deadline() time.Time {
	switch {
	case c.phase == expired:
		return c.forget
	case c.phase == gone || c.detached.IsZero() || c.at.epoch > 0 || !c.gen.opts.Resumable || c.Settled():
		return time.Time{}
	}
	return c.detached.Add(c.gen.opts.Grace)
}

// Tick expires what is due. It returns an ExpiredError while the final counts are
// known, and ErrGone after that: nil means that the session lives.
func (c *Core) Tick(now time.Time) error { return c.over(now) }

func (c *Core) over(now time.Time) error {
	if d := c.Deadline(); !d.IsZero() && !now.Before(d) {
		if c.phase == alive {
			c.expire(d)
		}
		if !now.Before(c.forget) {
			c.phase, c.final = gone, ExpiredError{}
		}
	}
	switch c.phase {
	case expired:
		final := c.final
		return &final
	case gone:
		return ErrGone
	}
	return nil
}

// expire lets everything go but the final counts.
func (c *Core) expire(now time.Time) {
	g := &c.gen
	c.final = ExpiredError{g.number, g.send.end, g.send.base, g.recv.end}
	c.phase, c.forget = expired, now.Add(ExpiredMemory)
	g.recv.drop()
	g.send.drop()
	c.events = eventLog{lastSeq: c.events.lastSeq}
	c.at = attachment{}
	c.effects |= WakeReader | WakeWriter | WakeSender | WakeReceiver | NewDeadline
}

func (c *Core) alloc(n int) *Buffer {
	if c.cfg.Alloc != nil {
		return c.cfg.Alloc(n)
	}
	return NewBuffer(make([]byte, 0, n))
}
