package quota

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Limit is how fast something may go on: PerSecond in the long run, Burst at once
// after a rest. In any time t, no more than Burst + PerSecond*t.
type Limit struct {
	PerSecond int64 // 0 or less: nothing goes
	Burst     int64 // 0 or less: as much as goes in a second
}

func (l Limit) withDefaults() Limit {
	if l.Burst <= 0 {
		l.Burst = l.PerSecond
	}
	return l
}

// farthest bounds what is added to an instant, so that no sum overflows.
const farthest = int64(1) << 60

// pace is a Limit as time: how many nanoseconds an amount is worth.
type pace struct {
	Limit
	num, den uint64 // an amount n is worth n*num/den nanoseconds, rounded up
	burst    int64  // what a full burst is worth
}

// piecePace is for things counted one by one: a burst is exactly as many single
// ones, whatever does not come out even.
func piecePace(l Limit) pace {
	l = l.withDefaults()
	second := int64(time.Second)
	return newPace(l, uint64((second-1)/max(l.PerSecond, 1)+1), 1) //nolint:gosec // positive
}

// bytePace is for amounts of which many go in a nanosecond.
func bytePace(l Limit) pace {
	l = l.withDefaults()
	return newPace(l, uint64(time.Second), uint64(max(l.PerSecond, 1))) //nolint:gosec // positive
}

func newPace(l Limit, num, den uint64) pace {
	p := pace{Limit: l, num: num, den: den}
	p.burst = p.worth(l.Burst)
	return p
}

// none: nothing ever goes.
func (p *pace) none() bool { return p.PerSecond <= 0 }

func (p *pace) worth(n int64) int64 {
	hi, lo := bits.Mul64(uint64(max(n, 0)), p.num) //nolint:gosec // not negative
	lo, carry := bits.Add64(lo, p.den-1, 0)
	if hi += carry; hi >= p.den {
		return farthest
	}
	ns := lo / p.den // the usual case, and much the quickest
	if hi > 0 {
		ns, _ = bits.Div64(hi, lo, p.den)
	}
	return int64(min(ns, uint64(farthest))) //nolint:gosec // bounded
}

// bucket is a token bucket in one number (the generic cell rate algorithm): the
// instant at which it is full again, in nanoseconds on its user's clock. Its zero
// value is full.
type bucket struct{ full atomic.Int64 }

// take takes n and returns 0, or takes nothing and returns how long until it could.
func (b *bucket) take(p *pace, now, n int64) (wait int64) {
	worth := p.worth(n)
	for {
		old := b.full.Load()
		next := max(old, now) + worth
		if wait := next - now - p.burst; wait > 0 {
			return wait
		}
		if b.full.CompareAndSwap(old, next) {
			return 0
		}
	}
}

// lack is what take would return, without taking.
func (b *bucket) lack(p *pace, now, n int64) (wait int64) {
	return max(max(b.full.Load(), now)+p.worth(n)-now-p.burst, 0)
}

// used is how much of the burst is not there, rounded down.
func (b *bucket) used(p *pace, now int64) int64 {
	missing := max(b.full.Load()-now, 0)
	hi, lo := bits.Mul64(uint64(missing), p.den) //nolint:gosec // not negative
	if hi >= p.num {
		return p.Burst
	}
	n, _ := bits.Div64(hi, lo, p.num)
	return int64(min(n, uint64(max(p.Burst, 0)))) //nolint:gosec // bounded
}

// clock counts nanoseconds from its beginning, so that a jump of the wall clock
// moves nothing.
type clock struct {
	read  func() time.Time // nil: the machine's
	start time.Time
}

// newClock starts a clock that reads now; nil is time.Now.
func newClock(now func() time.Time) clock {
	if now == nil {
		return clock{start: time.Now()}
	}
	return clock{now, now()}
}

func (c *clock) now() int64 {
	if c.read == nil {
		return int64(time.Since(c.start)) // it reads one clock where time.Now reads two
	}
	return int64(c.read().Sub(c.start))
}
