package benchpeers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"securesocket/cmd/internal/benchpeers/load"
)

const (
	// warmSessions are opened, used and closed before a process's own memory is read, so that what it has for all
	// sessions together is not counted for the first of them.
	warmSessions = 16
	// crowdMessage is the traffic on each session of a crowd, in bytes, in one message each way.
	crowdMessage = 16 << 10
	// paceMessage is the size of the messages of the paced load, in bytes.
	paceMessage = 64
	// crowdTimeout bounds what is done with one crowd.
	crowdTimeout = 2 * time.Minute
)

// crowds measures each way with each crowd, in a process that has done nothing before.
func (b *bench) crowds(ctx context.Context, ways []way) {
	sizes := make([]int, 0, len(b.config.Plan.Crowds))
	for _, size := range b.config.Plan.Crowds {
		if size > b.most {
			b.note("%s sessions at once are reduced to %s: this system allows no more descriptors to a process",
				thousands(size), thousands(b.most))
			size = b.most
		}
		sizes = append(sizes, size)
	}
	slices.Sort(sizes)
	sizes = slices.Compact(sizes)
	for i, size := range sizes {
		for at, w := range ways {
			if w.most > 0 && size > w.most {
				b.note("%s is left out with %s sessions: %s", w.name, thousands(size), w.why)
				continue
			}
			if ctx.Err() != nil {
				return
			}
			b.progress("%s at once: %s", sessionsTitle(size), w.name)
			figures, err := b.crowd(ctx, w, fmt.Sprintf("crowd%d-%d", i, at), size)
			if ctx.Err() != nil {
				return
			}
			b.report.add(w.name, figures...)
			if err != nil {
				b.note("%s, %s at once: %v", w.name, sessionsTitle(size), err)
			}
		}
	}
	b.growth(sizes)
}

// crowd holds so many sessions open and measures the memory of each, and the latency of a load on all. What was measured
// before an error is returned with it.
func (b *bench) crowd(ctx context.Context, w way, name string, size int) (figures []figure, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, crowdTimeout, errors.New("it took too long"))
	defer cancel()
	live, err := w.start(ctx, name)
	if err != nil {
		return nil, err
	}
	defer live.end()
	warm, err := load.OpenCrowd(ctx, live.dial, warmSessions)
	if err != nil {
		return nil, err
	}
	if err := warm.Touch(crowdMessage); err != nil {
		warm.Close()
		return nil, err
	}
	warm.Close()
	if err := b.settle(ctx); err != nil {
		return nil, err
	}
	empty, err := live.memory()
	if err != nil {
		return nil, err
	}
	crowd, err := load.OpenCrowd(ctx, live.dial, size)
	if err != nil {
		return nil, err
	}
	defer crowd.Close()
	weigh := func(when string) error {
		if live.process == nil || size < b.config.Plan.Weigh {
			return nil
		}
		if err := b.settle(ctx); err != nil {
			return err
		}
		now, err := live.memory()
		each := float64(now-empty) / 1024 / float64(size)
		if err == nil {
			figures = append(figures, figure{row{fmt.Sprintf("memory of an idle session, of %s, %s", thousands(size), when), "KiB", false}, each})
		}
		return err
	}
	if err := weigh("before traffic"); err != nil {
		return figures, err
	}
	if err := crowd.Touch(crowdMessage); err != nil {
		return figures, err
	}
	if err := weigh("after " + bytesTitle(crowdMessage)); err != nil {
		return figures, err
	}
	paced, err := crowd.Pace(ctx, paceMessage, b.config.Plan.Pace, b.config.Plan.PaceFor)
	if err != nil {
		return figures, err
	}
	return append(figures,
		figure{b.pacedRow(size, "p50"), microseconds(paced.P50)}, figure{b.pacedRow(size, "p99"), microseconds(paced.P99)}), nil
}

func (b *bench) pacedRow(size int, which string) row {
	return row{fmt.Sprintf("%s messages/s of %s over %s, %s", thousands(b.config.Plan.Pace), bytesTitle(paceMessage), sessionsTitle(size), which), "µs", false}
}

// growth is p99 of the largest crowd against that of the smallest.
func (b *bench) growth(sizes []int) {
	if len(sizes) < 2 {
		return
	}
	small, large := b.pacedRow(sizes[0], "p99"), b.pacedRow(sizes[len(sizes)-1], "p99")
	title := fmt.Sprintf("growth of that p99, %s against %s sessions", thousands(sizes[len(sizes)-1]), thousands(sizes[0]))
	for _, name := range b.report.Ways() {
		from, ok := b.report.median(small, name)
		if to, also := b.report.median(large, name); ok && also && from > 0 {
			b.report.add(name, figure{row{title, timesUnit, false}, to / from})
		}
	}
}

// memory is that of the process in between, in bytes; nothing where there is none.
func (w *running) memory() (int64, error) {
	if w.process == nil {
		return 0, nil
	}
	return resident(w.process.pid())
}

// settle leaves everything alone for a while.
func (b *bench) settle(ctx context.Context) error {
	pause := time.NewTimer(b.config.Plan.Settle)
	defer pause.Stop()
	select {
	case <-pause.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
