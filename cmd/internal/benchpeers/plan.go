package benchpeers

import "time"

// Plan says what is measured, and for how long.
type Plan struct {
	// Rounds is how often each way is measured; the figures are medians. The ways take turns within a round.
	Rounds int
	// Slice is how long each measurement of a round lasts.
	Slice time.Duration
	// Sessions are how many sessions at once bulk and echoes are measured with: few, and many.
	BulkSessions, EchoSessions []int
	// Messages are the sizes of echoed messages, in bytes.
	Messages []int
	// Crowds are how many sessions are held open at once, the smallest first: memory of each is measured, and p99 of a
	// load that is the same for all. What descriptors do not allow is reduced, with a note.
	Crowds []int
	// Weigh is the smallest crowd whose memory is measured: that of a few sessions is less than what a process's memory
	// moves by itself.
	Weigh int
	// Settle is how long an idle crowd is left alone before its memory is read.
	Settle time.Duration
	// Pace is the load on a crowd, in messages of 64 bytes a second; PaceFor is how long.
	Pace    int
	PaceFor time.Duration
	// Limit bounds all of it. What is not measured by then is left out, with a note.
	Limit time.Duration
}

// Full is the plan whose figures are written down. It takes about ten minutes, and never more than a quarter of an hour.
func Full() Plan {
	return Plan{
		Rounds: 3, Slice: 2 * time.Second,
		BulkSessions: []int{1, 8}, EchoSessions: []int{1, 64}, Messages: []int{64, 16 << 10},
		Crowds: []int{100, 1_000, 10_000}, Weigh: 1_000, Settle: 3 * time.Second, Pace: 2_000, PaceFor: 4 * time.Second,
		Limit: 14 * time.Minute,
	}
}

// Quick is a plan for trying, of about two minutes.
func Quick() Plan {
	p := Full()
	p.Rounds, p.Slice = 1, 600*time.Millisecond
	p.Crowds = []int{100, 1_000}
	p.PaceFor = 2 * time.Second
	p.Limit = 4 * time.Minute
	return p
}
