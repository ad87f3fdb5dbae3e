package load

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// openers is how many sessions are opened or closed at a time.
const openers = 16

// Openings opens sessions one after the other in so many goroutines, for as long as it is told. With echoed a session
// counts when a message of 64 bytes has come back, as it must where the peer is a Peer and a way says "connected" before
// it is; otherwise when it is open. Closing is in the rate, not in the latencies.
func Openings(ctx context.Context, dial Dial, workers int, echoed bool, lasting time.Duration) (Latencies, error) {
	ctx, cancel := context.WithTimeout(ctx, lasting+slack)
	defer cancel()
	samples := make([][]time.Duration, workers)
	began := time.Now()
	all, ctx := errgroup.WithContext(ctx)
	for i := range workers {
		all.Go(func() error {
			for done := false; !done; done = time.Since(began) >= lasting {
				start := time.Now()
				s, err := Open(ctx, dial)
				if err != nil {
					return err
				}
				if echoed {
					_, err = s.Echo(64)
				}
				samples[i] = append(samples[i], time.Since(start))
				if closed := s.Close(); err == nil && closed != nil {
					err = fmt.Errorf("closing a session: %w", closed)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := all.Wait()
	return summarise(samples, time.Since(began)), err
}

// openAll opens so many sessions, a few at a time. Those that are open are returned with an error too.
func openAll(ctx context.Context, dial Dial, count int) ([]*Session, error) {
	sessions := make([]*Session, count)
	var group errgroup.Group
	group.SetLimit(openers)
	for i := range sessions {
		group.Go(func() (err error) {
			if err = ctx.Err(); err == nil {
				sessions[i], err = Open(ctx, dial)
			}
			return err
		})
	}
	err := group.Wait()
	if err != nil {
		closeAll(sessions)
		return nil, err
	}
	return sessions, nil
}

// closeAll closes them, a few at a time. What a session had to say it has said while it was measured.
func closeAll(sessions []*Session) {
	var group errgroup.Group
	group.SetLimit(openers)
	for _, s := range sessions {
		if s == nil {
			continue
		}
		group.Go(func() error {
			_ = s.Close()
			return nil
		})
	}
	_ = group.Wait()
}
