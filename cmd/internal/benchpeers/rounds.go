package benchpeers

import (
	"context"
	"fmt"
	"time"

	"securesocket/cmd/internal/benchpeers/load"
)

// openingWorkers is how many sessions are being opened at a time.
const openingWorkers = 8

// sessionsTitle is part of a row's title.
func sessionsTitle(n int) string {
	if n == 1 {
		return "1 session"
	}
	return thousands(n) + " sessions"
}

// scenario is one thing that is measured in every round for every way.
type scenario struct {
	title   string
	measure func(ctx context.Context, w *running) ([]figure, error)
}

// figure is one value of a row.
type figure struct {
	row   row
	value float64
}

// scenarios are those of the plan, in the order of the table.
func (b *bench) scenarios() []scenario {
	plan := b.config.Plan
	var all []scenario
	for _, n := range plan.BulkSessions {
		for _, direction := range []load.Direction{load.Down, load.Up} {
			title := fmt.Sprintf("bulk %s, %s", direction, sessionsTitle(n))
			all = append(all, scenario{title, func(ctx context.Context, w *running) ([]figure, error) {
				return bulk(ctx, w, title, direction, n, plan.Slice)
			}})
		}
	}
	for _, size := range plan.Messages {
		for _, n := range plan.EchoSessions {
			title := fmt.Sprintf("echo of %s, %s", bytesTitle(size), sessionsTitle(n))
			all = append(all, scenario{title, func(ctx context.Context, w *running) ([]figure, error) {
				l, err := load.Echo(ctx, w.dial, size, n, plan.Slice)
				return []figure{
					{row{title + ", p50", "µs", false}, microseconds(l.P50)},
					{row{title + ", p99", "µs", false}, microseconds(l.P99)},
					{row{title, "messages/s", true}, l.Rate()},
				}, err
			}})
		}
	}
	openings := func(title string, choose func(*running) load.Dial) scenario {
		return scenario{title, func(ctx context.Context, w *running) ([]figure, error) {
			dial := choose(w)
			if dial == nil {
				return nil, nil
			}
			l, err := load.Openings(ctx, dial, openingWorkers, true, plan.Slice)
			return []figure{{row{title, "/s", true}, l.Rate()}}, err
		}}
	}
	return append(all,
		openings("new sessions", func(w *running) load.Dial { return w.dial }),
		openings("new sessions, TLS session resumption", func(w *running) load.Dial { return w.resuming }))
}

// bulk is a throughput and what the process in between used of the processor for it.
func bulk(ctx context.Context, w *running, title string, direction load.Direction, sessions int, lasting time.Duration) ([]figure, error) {
	before, err := w.cpu()
	if err != nil {
		return nil, err
	}
	moved, err := load.Bulk(ctx, w.dial, direction, sessions, lasting)
	if err != nil {
		return nil, err
	}
	figures := []figure{{row{title, "GiB/s", true}, moved.Rate()}}
	after, err := w.cpu()
	if w.process != nil {
		each := (after - before).Seconds() / (float64(moved.Bytes) / load.GiB)
		figures = append(figures, figure{row{title + ", CPU of the process in between", "s/GiB", false}, each})
	}
	return figures, err
}

// cpu is what the process in between has used; nothing where there is none.
func (w *running) cpu() (time.Duration, error) {
	if w.process == nil {
		return 0, nil
	}
	return cpuTime(w.process.pid())
}

// rounds measures every scenario with every way in turn, so often as the plan says. The first way of a round is another one
// each time. The error is that of the service or of no way at all: then there is nothing to compare.
func (b *bench) rounds(ctx context.Context, ways []way) error {
	live := make([]*running, len(ways))
	defer func() {
		for _, w := range live {
			if w != nil {
				w.end()
			}
		}
	}()
	for i, w := range ways {
		var err error
		if live[i], err = w.start(ctx, fmt.Sprintf("way%d", i)); err == nil {
			continue
		}
		if w.name == Direct || w.name == Shared {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		b.note("%s is left out: %v", w.name, err)
	}
	for round := range b.config.Plan.Rounds {
		for _, s := range b.scenarios() {
			b.progress("round %d of %d: %s", round+1, b.config.Plan.Rounds, s.title)
			for i := range ways {
				at := (i + round) % len(ways)
				if live[at] == nil {
					continue
				}
				if ctx.Err() != nil {
					return nil
				}
				figures, err := s.measure(ctx, live[at])
				if ctx.Err() != nil {
					return nil // cut short: it says nothing
				}
				if err != nil {
					b.note("%s, %s, round %d: %v", ways[at].name, s.title, round+1, err)
					continue
				}
				b.report.add(ways[at].name, figures...)
			}
		}
	}
	return nil
}
