package revocation

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
)

// Bounds of one Check. Whoever brings anchors of his own chooses chains and sources as well.
const (
	maxParallel    = 4        // certificates whose sources are asked at the same time
	maxFetches     = 16       // the longest chain that is judged has fifteen certificates to ask about
	maxCheckBytes  = 64 << 20 // that are read from others
	maxGivenChecks = 128      // signatures of given CRLs that are verified
)

// allowance is what one Check may use of the machine. A fetch is at the cost of the Check that started it.
type allowance struct {
	take    func(ctx context.Context) (done func(), err error) // see Query.Turn
	fetches atomic.Int32
	bytes   atomic.Int64
}

func (a *allowance) turn() *turn { return &turn{take: a.take} }

// starters says whether an error is about whoever started a fetch, and not about the source: others who waited for it
// learn nothing from it.
func starters(err error) bool { return errors.Is(err, tooMuch) || errors.Is(err, noTurn) }

// paid is a body whose bytes count.
type paid struct {
	io.ReadCloser
	by *allowance
}

func (p *paid) Read(b []byte) (int, error) {
	n, err := p.ReadCloser.Read(b)
	if p.by.bytes.Add(int64(n)) > maxCheckBytes {
		return 0, tooMuch
	}
	return n, err
}
