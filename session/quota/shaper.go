package quota

import "context"

// ShaperConfig says how many bytes may go in a second. Time is the machine's own,
// since a Shaper sleeps.
type ShaperConfig struct {
	What string // names it in an Error
	// PerOwner is counted first: what then had to wait for the others may leave closer
	// together, though never sooner.
	PerOwner Limit
	Total    Limit
}

// largestPiece is what goes at once, at most: about a frame of data, so that
// nobody's turn is long.
const largestPiece = 64 << 10

// Shaper delays bytes so that no more go than may. Those of one owner wait in the
// order in which they came; owners who together want more than there is in all take
// turns, and get as many bytes each, whoever asks for more or oftener.
type Shaper struct {
	what   string
	clock  clock
	each   pace
	all    pace
	queue  queue // of all
	piece  int64
	owners *book[flowOwner]
}

type flowOwner struct {
	flows int   // guarded by the shard
	queue queue // his own
	line  line  // in it, the only one
	turn  line  // in the queue of all
}

// NewShaper returns a Shaper through which nothing has gone.
func NewShaper(cfg ShaperConfig) *Shaper {
	s := &Shaper{what: cfg.What, clock: newClock(nil), each: bytePace(cfg.PerOwner), all: bytePace(cfg.Total)}
	s.queue.clock, s.queue.pace = &s.clock, &s.all
	s.piece = min(largestPiece, s.each.Burst, s.all.Burst)
	s.owners = newBook[flowOwner](s.each.burst)
	return s
}

// Flow is one connection's way through a Shaper, for both directions.
type Flow struct {
	shaper *Shaper
	page   *page[flowOwner]
	closed bool // guarded by the shard
}

// Flow returns an owner's way. It must be closed. All of an owner's flows share
// what he may have, also those that come after others were closed.
func (s *Shaper) Flow(owner string) *Flow {
	shard := s.owners.shard(owner)
	shard.Lock()
	defer shard.Unlock()
	p := shard.page(owner)
	if p.value.flows++; p.value.queue.clock == nil {
		p.value.queue.clock, p.value.queue.pace = &s.clock, &s.each
	}
	shard.hold(p)
	return &Flow{shaper: s, page: p}
}

// Close gives the Flow up; it does not wait. Wait must not be called afterwards.
func (f *Flow) Close() {
	shard := f.shaper.owners.shard(f.page.owner)
	shard.Lock()
	defer shard.Unlock()
	if f.closed {
		return
	}
	f.closed = true
	if f.page.value.flows--; f.page.value.flows == 0 {
		shard.touch(f.page, f.shaper.clock.now())
	}
}

// Wait returns nil when n bytes may go, and counts them. It ends with the context,
// if it has to wait at all, and then returns its cause; of n, what had its turn
// before is counted as gone. Where the limit is 0, the error is an [Error].
func (f *Flow) Wait(ctx context.Context, n int) error {
	s := f.shaper
	if s.piece <= 0 {
		return &Error{What: s.what, Caller: s.each.none()}
	}
	for left := int64(n); left > 0; left -= s.piece {
		if err := f.wait(ctx, min(left, s.piece)); err != nil {
			return err
		}
	}
	return nil
}

func (f *Flow) wait(ctx context.Context, n int64) error {
	s, o := f.shaper, &f.page.value
	now, err := o.queue.wait(ctx, &o.line, s.clock.now(), n)
	if err != nil {
		return err
	}
	_, err = s.queue.wait(ctx, &o.turn, now, n)
	return err
}
