package load

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// bulkRequest is how much one request of a bulk measurement is about; the pause between two is a round trip.
	bulkRequest = 16 << 20
	// warmBytes are moved before the clock starts: TLS begins with small records.
	warmBytes = 1 << 20
	// slack is how much longer than its time a measurement may take before it is given up.
	slack = 30 * time.Second
	// GiB is the unit of bulk, in bytes.
	GiB = 1 << 30
)

// Direction says which way bytes go.
type Direction string

// The directions, as seen from the caller.
const (
	Down Direction = "down"
	Up   Direction = "up"
)

// Throughput is what bulk traffic came to.
type Throughput struct {
	Bytes int64
	Took  time.Duration
}

// Rate is in GiB a second.
func (t Throughput) Rate() float64 { return float64(t.Bytes) / GiB / t.Took.Seconds() }

// Bulk moves bytes over so many sessions at once for about as long as it is told; it ends with whole requests.
func Bulk(ctx context.Context, dial Dial, direction Direction, sessions int, lasting time.Duration) (Throughput, error) {
	ctx, cancel := context.WithTimeout(ctx, lasting+slack)
	defer cancel()
	all, err := openAll(ctx, dial, sessions)
	defer func() { closeAll(all) }()
	if err != nil {
		return Throughput{}, err
	}
	move := (*Session).Pull
	if direction == Up {
		move = (*Session).Push
	}
	var warm errgroup.Group
	for _, s := range all {
		warm.Go(func() error { return move(s, warmBytes) })
	}
	if err := warm.Wait(); err != nil {
		return Throughput{}, err
	}
	moved := make([]int64, len(all))
	began := time.Now()
	var timed errgroup.Group
	for i, s := range all {
		timed.Go(func() error {
			for done := false; !done; done = time.Since(began) >= lasting {
				if err := move(s, bulkRequest); err != nil {
					return err
				}
				moved[i] += bulkRequest
			}
			return nil
		})
	}
	err = timed.Wait()
	total := Throughput{Took: time.Since(began)}
	for _, n := range moved {
		total.Bytes += n
	}
	return total, err
}
