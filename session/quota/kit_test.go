package quota

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hand is a clock that a test moves.
type hand struct{ at time.Time }

func newHand() *hand { return &hand{time.Unix(1_800_000_000, 0)} }

func (h *hand) now() time.Time          { return h.at }
func (h *hand) advance(d time.Duration) { h.at = h.at.Add(d) }

// refused is the Error that err has to be.
func refused(t require.TestingT, err error) *Error {
	var e *Error
	require.ErrorAs(t, err, &e)
	require.NotEmpty(t, e.Error())
	return e
}

// kept counts the owners that a book remembers.
func kept[V any](b *book[V]) (n int) {
	for i := range b.shards {
		b.shards[i].Lock()
		n += len(b.shards[i].pages)
		b.shards[i].Unlock()
	}
	return n
}

// kept counts the owners that a Pool remembers.
func (p *Pool) kept() (n int) {
	for i := range p.shards {
		p.shards[i].mu.Lock()
		n += len(p.shards[i].used)
		p.shards[i].mu.Unlock()
	}
	return n
}
