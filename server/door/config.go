package door

import (
	"log/slog"
	"time"
)

// Config is what a Door allows. The zero value of each field is the default that
// its comment names, and so is a negative one: nothing is unlimited.
type Config struct {
	// Max is how many connections there may be; 4,096. Of those of callers the last part
	// is for who has few, see quota.Room.
	Max int
	// PerCaller is how many of them one caller may have; 64.
	PerCaller int
	// Unclaimed is how many of them may be unclaimed; a quarter of Max, or 8 if that is more.
	// A quarter of these, at least two, is for connections that have no IP address, see
	// Local, and the rest for those that have: who has more gives way to the others.
	Unclaimed int
	// PerAddress is how many unclaimed ones may come from an IPv4 address or an
	// IPv6 /64; 16. It is a quarter of Unclaimed at most, or two if that is more.
	PerAddress int
	// Local is how many unclaimed ones may come over Unix sockets, and whatever
	// else has no IP address; 256.
	Local int

	// Reserve is asked before a connection is let in: nil, or why descriptors or
	// memory do not allow one more. It must not block. Nil: there is always room.
	Reserve func() error

	// SetupTimeout is how long the HTTP/2 server lets a connection take to be set
	// up; 10 s.
	SetupTimeout time.Duration
	// UnclaimedTimeout is how long a connection may be unclaimed and without a
	// visit after that; 30 s.
	UnclaimedTimeout time.Duration
	// UserTimeout is how long what was sent may stay unacknowledged by TCP (Linux's
	// TCP_USER_TIMEOUT); 10 s. The HTTP/2 server sets it where it sees a bare TCP
	// connection, which behind a Door it does not.
	UserTimeout time.Duration

	// FrameBurst is how many frames without use a metered connection may send at
	// once; 8,192. It has to be well above the streams of a connection, which
	// may all be cancelled together.
	FrameBurst int
	// FramesPerSecond is how many of them it may send for ever; 1,000.
	FramesPerSecond int

	// Unfinished is how many bytes of messages there may be that have begun and not
	// ended, on all connections; 512 MiB. The unclaimed have an eighth of it, and of that
	// those from one address or local user an eighth, at least 8 MiB.
	Unfinished int64
	// UnfinishedPerCaller is how much of it one caller may have; a quarter.
	UnfinishedPerCaller int64

	// RPCs is how many there may be of callers at once; 44,096. The last part is for who
	// has few, as of Max. Strangers have half as
	// many beside, and 4 on each connection in any case.
	RPCs int
	// RPCsPerCaller is how many of them one caller may have; 3,024. As many again may
	// have ended while their answers wait for him to take them.
	RPCsPerCaller int

	// Logger is told of what was refused, at most once a second. Nil: discards.
	Logger *slog.Logger
}

// leastUnclaimed is how many unclaimed connections there may be where Max is small: of very
// few, some who connect at once would have each other refused.
const leastUnclaimed = 8

func (c Config) withDefaults() Config {
	number := func(n *int, def int) {
		if *n <= 0 {
			*n = def
		}
	}
	bytes := func(n *int64, def int64) {
		if *n <= 0 {
			*n = def
		}
	}
	duration := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	number(&c.Max, 4096)
	number(&c.PerCaller, 64)
	number(&c.Unclaimed, min(max(c.Max/4, leastUnclaimed), c.Max))
	number(&c.PerAddress, 16)
	number(&c.Local, 256)
	number(&c.FrameBurst, 8192)
	number(&c.FramesPerSecond, 1000)
	number(&c.RPCs, 44_096)
	number(&c.RPCsPerCaller, 3_024)
	bytes(&c.Unfinished, 512<<20)
	bytes(&c.UnfinishedPerCaller, max(c.Unfinished/4, 1))
	duration(&c.SetupTimeout, 10*time.Second)
	duration(&c.UnclaimedTimeout, 30*time.Second)
	duration(&c.UserTimeout, 10*time.Second)
	if c.Reserve == nil {
		c.Reserve = func() error { return nil }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}
