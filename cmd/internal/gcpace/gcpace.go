// Package gcpace lets the garbage collector run by spare room instead of by a ratio.
//
// Go's own rule, GOGC=100, leaves as much room for new garbage as what lives needs, stacks included. That is little where
// little lives: a service with few sessions collects for every few of them that are opened, and that is a tenth of its
// CPU. And it is much where much lives: ten thousand sessions at rest make no garbage, and have as much again kept free
// for it. Here the room is fixed, with a share of what lives on top, so that the work of a cycle, which grows with what
// lives, stays in proportion.
//
// When the process comes to rest after work, one more cycle gives back to the system what that has left behind: the
// garbage, and the stacks of goroutines that have ended. Without it that stays until the next cycle, and a process at rest
// has none for minutes.
package gcpace

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	spareBytes = 12 << 20
	spareShare = 4 // of what lives: a quarter

	// smallestHeap is the goal that the runtime does not go below at GOGC=100, and in proportion at any other.
	smallestHeap = 4 << 20
	// A process is at rest that allocates less than quietBytes in quietTime.
	quietBytes = 256 << 10
	quietTime  = 2 * time.Second

	// usual is what the runtime has where nobody says anything.
	usual = 100
)

// Start sets the pace of this process after every cycle, until stop. Where the operator has set GOGC or GOMEMLIMIT it
// does nothing: then he has said how he wants it.
func Start() (stop func()) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	p := newPacer()
	p.adjust()
	(&cycle{p}).await()
	return p.stop
}

func newPacer() *pacer {
	return &pacer{
		percent: usual,
		samples: []metrics.Sample{
			{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"},
		},
		allocs: []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}},
	}
}

// cycle is reachable from nowhere, so that its finalizer runs at the end of every cycle.
type cycle struct{ p *pacer }

func (c *cycle) await() {
	runtime.SetFinalizer(c, func(c *cycle) {
		if c.p.adjust() {
			c.p.watch()
			c.await()
		}
	})
}

// pacer is made by newPacer.
type pacer struct {
	mu      sync.Mutex
	samples []metrics.Sample
	percent int // what was set last
	stopped bool

	allocs []metrics.Sample
	total  uint64      // of allocs, when it was looked at last
	rest   *time.Timer // nil: nobody waits for the rest
	own    bool        // the cycle under way is that of the rest
}

// adjust sets the pace for what lives now; false: it was stopped.
func (p *pacer) adjust() (goesOn bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return false
	}
	metrics.Read(p.samples)
	heap := p.samples[0].Value.Uint64()
	next := percent(heap, heap+p.samples[1].Value.Uint64()+p.samples[2].Value.Uint64())
	// To set it stops the world for a moment: not for nothing.
	if diff := next - p.percent; diff > p.percent/16 || -diff > p.percent/16 {
		p.percent = next
		debug.SetGCPercent(next)
	}
	return true
}

// watch waits for the rest after a cycle, unless that is the rest's own.
func (p *pacer) watch() {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.own:
		p.own = false
	case p.rest == nil && !p.stopped:
		p.rest = time.AfterFunc(quietTime, p.look)
	}
}

// look ends the watch at rest, by a cycle.
func (p *pacer) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return
	}
	metrics.Read(p.allocs)
	before := p.total
	p.total = p.allocs[0].Value.Uint64()
	if p.total-before > quietBytes {
		p.rest.Reset(quietTime)
		return
	}
	p.rest, p.own = nil, true
	go debug.FreeOSMemory() // ends with the cycle
}

// percent is the GOGC that gives the room, for the bytes that live on the heap, and those that the ratio is of.
func percent(heap, of uint64) int {
	spare := spareBytes + of/spareShare
	goal := heap + spare
	byRatio := spare * 100 / max(of, 1)
	byFloor := goal * 100 / smallestHeap             // more would lift the smallest heap above the goal
	return int(min(byRatio, byFloor, math.MaxInt32)) //nolint:gosec // bounded
}

func (p *pacer) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return
	}
	p.stopped = true
	if p.rest != nil {
		p.rest.Stop()
	}
	debug.SetGCPercent(usual)
}
