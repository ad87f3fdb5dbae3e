package quota

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// ledger is what went through, and when.
type ledger struct {
	mu     sync.Mutex
	owners map[string][]grant
	all    []grant
}

func (l *ledger) add(owner string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := grant{time.Now(), int64(n)}
	if l.owners == nil {
		l.owners = make(map[string][]grant)
	}
	l.owners[owner] = append(l.owners[owner], g)
	l.all = append(l.all, g)
}

func (l *ledger) bytes(owner string) (sum int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range l.owners[owner] {
		sum += g.n
	}
	return sum
}

// shaped fails where more bytes went in some time than may, but for what goes in the
// nanosecond that a burst is rounded up by.
func shaped(t *testing.T, l Limit, grants []grant) {
	t.Helper()
	for first := range grants {
		var sum int64
		for _, g := range grants[first:] {
			sum += g.n
			passed := int64(g.at.Sub(grants[first].at)) + 1
			require.LessOrEqual(t, (sum-l.Burst)*int64(time.Second), passed*l.PerSecond)
		}
	}
}

// atRest fails where somebody still waits.
func atRest(t *testing.T, s *Shaper) {
	t.Helper()
	s.queue.mu.Lock()
	defer s.queue.mu.Unlock()
	require.Zero(t, s.queue.waiting.Load())
	require.Zero(t, s.queue.ring.Len())
}

func TestShaperIsNeverExceeded(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			each := Limit{PerSecond: 1 + rnd.Int64N(1<<20), Burst: 1 + rnd.Int64N(1<<16)}
			all := Limit{PerSecond: 1 + rnd.Int64N(1<<21), Burst: 1 + rnd.Int64N(1<<16)}
			ample := seed%2 == 0
			if ample {
				all = Limit{PerSecond: 1 << 30}
			}
			s := NewShaper(ShaperConfig{PerOwner: each, Total: all})
			begun := time.Now()
			var went ledger
			var wg sync.WaitGroup
			for conn := range 9 {
				owner, rnd := strconv.Itoa(conn%4), rand.New(rand.NewPCG(seed, uint64(conn)))
				wg.Go(func() {
					f := s.Flow(owner)
					defer f.Close()
					for range 30 {
						n := 1 + rnd.IntN(int(s.piece))
						ctx, cancel := t.Context(), context.CancelFunc(func() {})
						if rnd.IntN(4) == 0 {
							ctx, cancel = context.WithTimeout(ctx, time.Duration(rnd.IntN(int(time.Second))))
						}
						if f.Wait(ctx, n) == nil {
							went.add(owner, n)
						}
						cancel()
						if rnd.IntN(3) == 0 {
							time.Sleep(time.Duration(rnd.IntN(int(time.Second))))
						}
					}
				})
			}
			wg.Wait() // a wake-up that is lost is a deadlock here
			atRest(t, s)
			for _, grants := range went.owners {
				if ample {
					shaped(t, each, grants)
				}
				var sum int64
				for _, g := range grants {
					sum += g.n
					require.LessOrEqual(t, (sum-each.Burst)*int64(time.Second), (int64(g.at.Sub(begun))+1)*each.PerSecond)
				}
			}
			if !ample {
				shaped(t, all, went.all)
			}
		})
	}
}

// Nothing that may go is wasted while somebody waits.
func TestShaperGivesAllThereIs(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]ShaperConfig{
		"owner's limit":     {PerOwner: Limit{PerSecond: 1000, Burst: 100}, Total: Limit{PerSecond: 1e9}},
		"everybody's limit": {PerOwner: Limit{PerSecond: 1e9}, Total: Limit{PerSecond: 1000, Burst: 100}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := NewShaper(cfg)
				begun := time.Now()
				var wg sync.WaitGroup
				var failed atomic.Int64
				for range 5 {
					wg.Go(func() {
						f := s.Flow("a")
						defer f.Close()
						if f.Wait(t.Context(), 2020) != nil { // more than a burst, so in pieces
							failed.Add(1)
						}
					})
				}
				wg.Wait()
				require.Zero(t, failed.Load())
				require.InDelta(t, 10*time.Second, time.Since(begun), float64(time.Microsecond))
			})
		})
	}
}

func TestShaperIsFairBetweenOwners(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const rate = 1 << 20
		s := NewShaper(ShaperConfig{PerOwner: Limit{PerSecond: 1 << 30}, Total: Limit{PerSecond: rate, Burst: largestPiece}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var went ledger
		var wg sync.WaitGroup
		pull := func(owner string, connections, n int) {
			for range connections {
				wg.Go(func() {
					f := s.Flow(owner)
					defer f.Close()
					for f.Wait(ctx, n) == nil {
						went.add(owner, n)
					}
				})
			}
		}
		pull("greedy", 100, largestPiece)
		pull("small pieces", 1, 1000)
		pull("many small ones", 50, 100)
		pull("odd", 2, 50_001)
		wg.Wait()
		for owner := range went.owners {
			require.InDelta(t, 60*rate/4, went.bytes(owner), 4*largestPiece, owner)
		}
		require.Len(t, went.owners, 4)
	})
}

// Whoever gives up makes room at once for one behind him who needs less.
func TestShaperGivingUpLetsOthersPass(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewShaper(ShaperConfig{PerOwner: Limit{PerSecond: 1 << 30}, Total: Limit{PerSecond: 1000, Burst: 10_000}})
		a, b := s.Flow("a"), s.Flow("b")
		defer a.Close()
		defer b.Close()
		require.NoError(t, a.Wait(t.Context(), 10_000))
		begun := time.Now()
		gaveUp := errors.New("given up")
		ctx, cancel := context.WithCancelCause(t.Context())
		var wg sync.WaitGroup
		var first, second error
		var took time.Duration
		wg.Go(func() { first = a.Wait(ctx, 10_000) })
		synctest.Wait()
		wg.Go(func() {
			second = b.Wait(t.Context(), 2000)
			took = time.Since(begun)
		})
		time.Sleep(3 * time.Second)
		cancel(gaveUp)
		wg.Wait()
		require.ErrorIs(t, first, gaveUp)
		require.NoError(t, second)
		require.Equal(t, 3*time.Second, took)
	})
}

// Whoever comes with little does not pass those who wait for much.
func TestShaperStarvesNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewShaper(ShaperConfig{PerOwner: Limit{PerSecond: 1 << 30}, Total: Limit{PerSecond: 1000, Burst: 10_000}})
		a, b := s.Flow("a"), s.Flow("b")
		defer a.Close()
		defer b.Close()
		require.NoError(t, b.Wait(t.Context(), 10_000))
		begun := time.Now()
		var wg sync.WaitGroup
		var took time.Duration
		var first error
		wg.Go(func() {
			first = a.Wait(t.Context(), 10_000)
			took = time.Since(begun)
		})
		for range 20 {
			time.Sleep(time.Second)
			require.NoError(t, b.Wait(t.Context(), 100))
		}
		wg.Wait()
		require.NoError(t, first)
		require.Equal(t, 10*time.Second, took)
	})
}

// What was given up in an owner's own line is his again.
func TestShaperGivesBackWhatDidNotGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewShaper(ShaperConfig{PerOwner: Limit{PerSecond: 1000}, Total: Limit{PerSecond: 1 << 30}})
		f := s.Flow("a")
		defer f.Close()
		require.NoError(t, f.Wait(t.Context(), 1000))
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, f.Wait(ctx, 900), context.DeadlineExceeded)
		require.Equal(t, 100*time.Millisecond, time.Since(begun))
		require.NoError(t, f.Wait(t.Context(), 500))
		require.Equal(t, 500*time.Millisecond, time.Since(begun))
	})
}

// Another flow is no new burst, and an owner who is at rest is forgotten.
func TestShaperRemembersItsOwners(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewShaper(ShaperConfig{PerOwner: Limit{PerSecond: 1000}, Total: Limit{PerSecond: 1 << 30}})
		begun := time.Now()
		for range 5 {
			f := s.Flow("a")
			require.NoError(t, f.Wait(t.Context(), 1000))
			f.Close()
			f.Close()
		}
		require.Equal(t, 4*time.Second, time.Since(begun))
		open := s.Flow("open")
		defer open.Close()
		for i := range 20 * shardCount {
			s.Flow(strconv.Itoa(i)).Close()
		}
		time.Sleep(time.Second)
		for i := range 40 * shardCount {
			s.Flow("new " + strconv.Itoa(i)).Close()
		}
		time.Sleep(time.Second)
		for range 60 {
			for i := range shardCount {
				s.Flow("last " + strconv.Itoa(i)).Close()
			}
			time.Sleep(time.Second)
		}
		require.Less(t, kept(s.owners), 20*shardCount)
		again := s.Flow("open")
		defer again.Close()
		require.Same(t, open.page, again.page)
	})
}

// A flow that is closed again closes no other.
func TestShaperKeepsWhoHasAFlow(t *testing.T) {
	t.Parallel()
	s := NewShaper(ShaperConfig{PerOwner: Limit{PerSecond: 1}, Total: Limit{PerSecond: 1}})
	first, second := s.Flow("a"), s.Flow("a")
	first.Close()
	first.Close()
	require.False(t, second.page.listed)
	second.Close()
	require.True(t, second.page.listed)
}

// Who wants a lot at once is served in pieces, between which others go.
func TestShaperHasShortTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewShaper(ShaperConfig{PerOwner: Limit{PerSecond: 1 << 40}, Total: Limit{PerSecond: largestPiece, Burst: 16 * largestPiece}})
		greedy, modest := s.Flow("greedy"), s.Flow("modest")
		defer greedy.Close()
		defer modest.Close()
		require.NoError(t, greedy.Wait(t.Context(), 16*largestPiece))
		done := make(chan error)
		go func() { done <- greedy.Wait(t.Context(), 16*largestPiece) }()
		synctest.Wait()
		begun := time.Now()
		require.NoError(t, modest.Wait(t.Context(), 1))
		require.LessOrEqual(t, time.Since(begun), 2*time.Second)
		require.NoError(t, <-done)
	})
}

func TestShaperWithoutLimitLetsNothingThrough(t *testing.T) {
	t.Parallel()
	some := Limit{PerSecond: 1000}
	f := NewShaper(ShaperConfig{What: "bytes", Total: some}).Flow("a")
	defer f.Close()
	require.Equal(t, Error{What: "bytes", Caller: true}, *refused(t, f.Wait(t.Context(), 1)))
	g := NewShaper(ShaperConfig{What: "bytes", PerOwner: some}).Flow("a")
	defer g.Close()
	require.Equal(t, Error{What: "bytes"}, *refused(t, g.Wait(t.Context(), 1)))
}

// On the machine's own clock, with real races.
func TestShaperUnderStorm(t *testing.T) {
	t.Parallel()
	s := NewShaper(ShaperConfig{PerOwner: Limit{PerSecond: 8 << 20, Burst: 1 << 16}, Total: Limit{PerSecond: 16 << 20, Burst: 1 << 16}})
	var wg sync.WaitGroup
	var failed atomic.Int64
	for conn := range 16 {
		wg.Go(func() {
			f := s.Flow(strconv.Itoa(conn % 4))
			defer f.Close()
			for i := range 100 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(conn*i)*time.Microsecond)
				if err := f.Wait(ctx, 1+i*37); err != nil && !errors.Is(err, context.DeadlineExceeded) {
					failed.Add(1)
				}
				cancel()
			}
			if f.Wait(t.Context(), 1000) != nil {
				failed.Add(1)
			}
		})
	}
	wg.Wait()
	require.Zero(t, failed.Load())
	atRest(t, s)
}
