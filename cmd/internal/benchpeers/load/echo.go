package load

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// Latencies is how often something was done, and how long it took.
type Latencies struct {
	// Count is how often it was done, Took the time for all of it.
	Count int
	Took  time.Duration
	// P50 and P99 are the median and the 99th percentile of one.
	P50, P99 time.Duration
}

// Rate is how often it was done in a second.
func (l Latencies) Rate() float64 { return float64(l.Count) / l.Took.Seconds() }

// summarise puts together what several goroutines have measured.
func summarise(samples [][]time.Duration, took time.Duration) Latencies {
	all := slices.Concat(samples...)
	slices.Sort(all)
	return Latencies{Count: len(all), Took: took, P50: quantile(all, 0.50), P99: quantile(all, 0.99)}
}

// quantile is the smallest of the sorted samples that so large a part of them does not exceed; 0 if there is none.
func quantile(sorted []time.Duration, part float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(part*float64(len(sorted))), len(sorted)-1)]
}

// Echo has messages of so many bytes go there and back over so many sessions at once, each with one message on its way,
// for as long as it is told.
func Echo(ctx context.Context, dial Dial, size, sessions int, lasting time.Duration) (Latencies, error) {
	ctx, cancel := context.WithTimeout(ctx, lasting+slack)
	defer cancel()
	all, err := openAll(ctx, dial, sessions)
	defer func() { closeAll(all) }()
	if err != nil {
		return Latencies{}, err
	}
	for _, s := range all { // so that the clock sees sessions that have been used
		if _, err := s.Echo(size); err != nil {
			return Latencies{}, err
		}
	}
	samples := make([][]time.Duration, len(all))
	began := time.Now()
	var timed errgroup.Group
	for i, s := range all {
		timed.Go(func() error {
			for done := false; !done; done = time.Since(began) >= lasting {
				took, err := s.Echo(size)
				if err != nil {
					return err
				}
				samples[i] = append(samples[i], took)
			}
			return nil
		})
	}
	err = timed.Wait()
	return summarise(samples, time.Since(began)), err
}
