package server_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest/cutproxy"
)

// randomCuts is how many cuts are made in all, and cutsOfOne how many a session
// has before it is let through: fewer than its attaches are limited to.
func randomCuts() (all int64, ofOne int) {
	if testing.Short() || raceEnabled {
		return 1_000, 25
	}
	return 10_000, 100
}

// Sessions move from 1 B to 16 MiB each way, while their connections are cut at
// random bytes: in the middle of frames, of headers, of answers. Both ends get
// all of it.
func TestTransfersOverRandomCuts(t *testing.T) {
	t.Parallel()
	const workers = 12
	all, ofOne := randomCuts()
	x := &exchanges{sums: make(map[string][sha256.Size]byte)}
	w := newResumableWorld(t, x.handle)
	var mu sync.Mutex
	var made int64 // cuts
	more := func(n int64) bool {
		mu.Lock()
		defer mu.Unlock()
		made += n
		return made < all
	}
	g, ctx := errgroup.WithContext(t.Context())
	for worker := range workers {
		g.Go(func() error {
			random := rand.New(rand.NewPCG(1, uint64(worker))) // each worker's sessions are the same in every run
			for i := 0; more(0); i++ {
				up, down := randomSize(random), randomSize(random)
				switch worker*1000 + i { // the bounds are among them
				case 0:
					up, down = 1, 16<<20
				case 1000:
					up, down = 16<<20, 1
				case 2000:
					up, down = 1, 1
				}
				cuts, err := cutAtRandom(ctx, w, x, random, fmt.Sprintf("%d-%d", worker, i), up, down, ofOne)
				if err != nil {
					return err
				}
				more(cuts)
			}
			return nil
		})
	}
	require.NoError(t, g.Wait())
	t.Logf("%d cuts", made)
}

// randomSize is from 1 B to 16 MiB, as often small as large.
func randomSize(random *rand.Rand) int {
	return int(math.Exp2(24 * random.Float64()))
}

// cutAtRandom runs one session whose first connections are cut.
func cutAtRandom(ctx context.Context, w *resumableWorld, x *exchanges, random *rand.Rand, key string, up, down, cuts int) (int64, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	p := cutproxy.New(l, w.svc.DialContext)
	defer p.Close()
	left := cuts
	chance := rand.New(rand.NewPCG(random.Uint64(), 0)) // the proxy's own
	p.Plan(func() cutproxy.Cut {
		left--
		if left < 0 {
			return cutproxy.Cut{}
		}
		c := cutproxy.Cut{Direction: cutproxy.Up, After: chance.Int64N(int64(800 + 2*up/cuts))}
		if chance.IntN(2) == 0 {
			c = cutproxy.Cut{Direction: cutproxy.Down, After: chance.Int64N(int64(2500 + 2*down/cuts))}
		}
		switch chance.IntN(40) {
		case 0:
			c.How = cutproxy.Silence
		case 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12:
			c.How = cutproxy.RST
		}
		return c
	})
	r := &resumer{
		open: w.open(key, application(key, down)), out: noise()[len(noise())-up:],
		chunk: 1 + random.IntN(128<<10), giveUp: 200 * time.Millisecond,
		dial: func() (pb.SecureSocketServiceClient, func()) { return through(p.Dial) },
	}
	ctx, cancel := context.WithTimeout(ctx, 3*patience)
	defer cancel()
	if err := r.run(ctx); err != nil {
		return 0, fmt.Errorf("%s, %d up, %d down, %d cuts: %w", key, up, down, p.Cuts(), err)
	}
	return p.Cuts(), x.check(key, r, down)
}
