package resume

import (
	"fmt"
	"hash/maphash"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// explorer walks through every state that a world can come to, depth first.
type explorer struct {
	*scope
	mutant mutant
	seed   maphash.Seed
	buf    []byte
	seen   map[uint64]struct{}
	good   map[uint64]struct{} // a run without faults from here completes
}

// step is how a state was come to.
type step struct {
	before *step
	action action
}

func (s *step) String() string {
	var steps []string
	for ; s != nil && s.action.kind > 0; s = s.before {
		steps = append(steps, s.action.String())
	}
	var b strings.Builder
	for i := range steps {
		fmt.Fprintf(&b, "%s ", steps[len(steps)-1-i])
	}
	return b.String()
}

// explore returns the first violation, with the way to it, or nil once it has
// seen limit states, or all: then done is true.
func (x *explorer) explore() (done bool, err error) {
	type place struct {
		*world
		how *step
	}
	x.seed = maphash.MakeSeed()
	x.seen, x.good = map[uint64]struct{}{}, map[uint64]struct{}{}
	stack := []place{{newWorld(x.scope, x.mutant), nil}}
	var actions []action
	order := rand.New(rand.NewPCG(1, 2)) // so that a part of a world is not a corner of it
	for len(stack) > 0 {
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		actions = at.actions(x.scope, true, actions[:0])
		order.Shuffle(len(actions), func(i, j int) { actions[i], actions[j] = actions[j], actions[i] })
		for i := range actions {
			next := place{at.world.clone(), &step{at.how, actions[i]}}
			err := x.act(next.world, actions[i])
			if err != nil {
				return false, fmt.Errorf("%w\nafter %s", err, next.how)
			}
			h := x.hash(next.world)
			if _, ok := x.seen[h]; ok {
				continue
			}
			x.seen[h] = struct{}{}
			if err := x.progress(next.world, h); err != nil {
				return false, fmt.Errorf("%w\nafter %s", err, next.how)
			}
			stack = append(stack, next)
		}
		if len(x.seen) >= x.limit {
			return false, nil
		}
	}
	return true, nil
}

func (x *explorer) act(w *world, a action) (err error) {
	if x.mutant != 0 { // what a mistake leads to may be a panic, too
		defer func() {
			if v := recover(); v != nil {
				err = violated("panic: %v", v)
			}
		}()
	}
	if err := w.do(x.scope, a); err != nil {
		return err
	}
	if why := w.core.broken(); why != "" {
		return violation(why)
	}
	return nil
}

// maxRun is more than the longest run without faults.
const maxRun = 500

// progress follows one run without faults, up to a state whose run is known.
func (x *explorer) progress(w *world, h uint64) error {
	var path []uint64
	var actions []action
	w = w.clone()
	var run *step
	for {
		if _, ok := x.good[h]; ok {
			break
		}
		path = append(path, h)
		actions = w.actions(x.scope, false, actions[:0])
		if len(actions) == 0 {
			if !w.complete(x.scope) {
				return violated("deadlock: bytes do not go on though no fault comes any more, with %s", run)
			}
			break
		}
		if len(path) > maxRun {
			return violated("no progress: things happen for ever, and bytes do not go on, with %s", run)
		}
		run = &step{run, actions[0]}
		if err := x.act(w, actions[0]); err != nil {
			return fmt.Errorf("%w, in a run without faults with %s", err, run)
		}
		h = x.hash(w)
	}
	for _, h := range path {
		x.good[h] = struct{}{}
	}
	return nil
}

func (x *explorer) hash(w *world) uint64 {
	x.buf = w.encode(x.buf[:0])
	return maphash.Bytes(x.seed, x.buf)
}

func bits(bs ...bool) (b byte) {
	for i, is := range bs {
		if is {
			b |= 1 << i
		}
	}
	return b
}

// encode appends all that a world's future depends on.
func (w *world) encode(b []byte) []byte {
	b = w.core.encode(b, w.instant())
	b = append(b, byte(w.current), byte(w.seq), byte(w.gen), byte(w.next), byte(w.sentMax), byte(w.accepted), byte(w.limit),
		byte(w.recv), byte(w.acked), byte(w.event), byte(w.ackedEvent), byte(w.terminal), byte(w.attempts), byte(w.doubles),
		byte(w.reconnects), byte(w.events), byte(w.newest), bits(w.attached, w.finished))
	for i := range w.streams {
		st := &w.streams[i]
		b = append(b, bits(st.used, st.cut, st.returned))
		if st.used {
			b = append(b, byte(st.epoch))
			b = st.down.encode(st.up.encode(b))
		}
	}
	for i := 1; i < len(w.peers); i++ {
		p := &w.peers[i]
		b = append(b, byte(p.got), bits(p.finished, p.ended), byte(p.out.n), byte(p.logged))
		b = append(b, p.log[:p.logged]...) // what is out is its end
	}
	return b
}

func (q *queue) encode(b []byte) []byte {
	b = append(b, byte(q.n))
	for _, f := range q.frames[:q.n] {
		b = append(b, byte(f.kind), byte(f.gen), byte(f.off), byte(f.seq), byte(f.event), byte(f.accepted), byte(f.limit), f.b)
	}
	return b
}

// scopes are the worlds that are explored: whole, or as far as their limit.
var scopes = []scope{
	{name: "echo", caller: 2, attempts: 2, doubles: 1, chunk: 1, receive: 1, send: 1, queue: 2},
	{name: "greeting", caller: 1, greeting: 2, attempts: 2, chunk: 1, receive: 2, send: 2, queue: 2},
	{name: "full", caller: 3, greeting: 1, attempts: 1, chunk: 1, receive: 1, send: 1, queue: 2},
	{name: "reconnect", caller: 1, attempts: 2, reconnects: 1, chunk: 1, receive: 1, send: 1, queue: 1, limit: 150_000},
	{name: "cuts", caller: 1, attempts: 3, chunk: 1, receive: 1, send: 1, queue: 1, limit: 150_000},
	{name: "chunks", caller: 3, attempts: 2, chunk: 2, receive: 2, send: 2, queue: 1, limit: 150_000},
	{name: "events", caller: 1, greeting: 1, attempts: 2, events: 1, earlyEnd: true, chunk: 1, receive: 2, send: 1, queue: 1, limit: 150_000},
	{
		name: "large", caller: 3, greeting: 1, attempts: 3, doubles: 1, reconnects: 1, events: 1, earlyEnd: true,
		chunk: 2, receive: 4, send: 2, queue: 3, limit: 150_000,
	},
}

// TestExplorer drives the core through all interleavings of small worlds.
func TestExplorer(t *testing.T) {
	states := 0
	for _, s := range scopes {
		whole := s.limit == 0
		if whole {
			s.limit = math.MaxInt
		}
		if brief() {
			s.limit = min(s.limit, 8_000)
		}
		x := &explorer{scope: &s}
		done, err := x.explore()
		require.NoError(t, err, s.name)
		require.True(t, done || !whole || brief(), "%s is seen whole", s.name)
		t.Logf("%s: %d states, all: %t", s.name, len(x.seen), done)
		states += len(x.seen)
	}
	if !brief() {
		require.GreaterOrEqual(t, states, 1_000_000)
	}
}

// brief is whether the machine or its user has no time.
func brief() bool { return testing.Short() || raceEnabled }

// TestExplorerFindsMistakes: a checker that finds nothing must be able to.
func TestExplorerFindsMistakes(t *testing.T) {
	t.Parallel()
	for m := mutant(1); m < mutants; m++ {
		require.ErrorAs(t, explore(m), new(violation), "mistake %d", m)
	}
}

// explore looks for a mistake in all worlds.
func explore(m mutant) (err error) {
	for _, s := range scopes {
		s.limit = 30_000
		x := &explorer{scope: &s, mutant: m}
		if _, err = x.explore(); err != nil {
			break
		}
	}
	return err
}
