package load

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"
)

// Crowd is many sessions that are open at once. It belongs to one goroutine.
type Crowd struct {
	sessions []*Session
	cancel   context.CancelFunc
}

// OpenCrowd opens so many sessions, each of which has had one message of MinMessage bytes there and back, so that every
// way has it open all through. ctx ends them.
func OpenCrowd(ctx context.Context, dial Dial, count int) (*Crowd, error) {
	ctx, cancel := context.WithCancel(ctx)
	sessions, err := openAll(ctx, dial, count)
	if err != nil {
		cancel()
		return nil, err
	}
	c := &Crowd{sessions, cancel}
	if err := c.Touch(MinMessage); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Touch has a message of so many bytes go there and back over every session.
func (c *Crowd) Touch(size int) error {
	var group errgroup.Group
	group.SetLimit(openers)
	for _, s := range c.sessions {
		group.Go(func() error {
			_, err := s.Echo(size)
			s.rest()
			return err
		})
	}
	return group.Wait()
}

// Pace has so many messages a second of so many bytes go there and back, over all sessions in turn, for as long as it is
// told: the load does not depend on how many sessions there are. A worker that is behind does not make up for it.
func (c *Crowd) Pace(ctx context.Context, size, perSecond int, lasting time.Duration) (Latencies, error) {
	if perSecond < 1 || len(c.sessions) == 0 {
		return Latencies{}, errors.New("there is nothing to send, or nowhere to send it to")
	}
	workers := min(openers, len(c.sessions))
	samples := make([][]time.Duration, workers)
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for w := range workers {
		group.Go(func() error {
			turn := time.Duration(workers) * time.Second / time.Duration(perSecond)
			if err := sleep(ctx, turn*time.Duration(w)/time.Duration(workers)); err != nil { // not all at once
				return err
			}
			ticks := time.NewTicker(turn)
			defer ticks.Stop()
			for next := w; ; next += workers {
				if next >= len(c.sessions) {
					next = w
				}
				s := c.sessions[next]
				took, err := s.Echo(size)
				if err != nil {
					return err
				}
				s.rest()
				samples[w] = append(samples[w], took)
				if time.Since(began) >= lasting {
					return nil
				}
				select {
				case <-ticks.C:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
		})
	}
	err := group.Wait()
	return summarise(samples, time.Since(began)), err
}

// sleep waits for so long, or for the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	pause := time.NewTimer(d)
	defer pause.Stop()
	select {
	case <-pause.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close ends every session and waits for that.
func (c *Crowd) Close() {
	closeAll(c.sessions)
	c.cancel()
}
