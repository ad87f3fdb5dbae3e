package revocation

import (
	"bytes"
	"context"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// breaking is a Fetcher whose answers panic after so many bytes; at once for nil.
type breaking struct {
	after   []byte
	fetches atomic.Int32
}

func (b *breaking) Fetch(_ context.Context, r Request) (io.ReadCloser, error) {
	b.fetches.Add(1)
	if b.after == nil {
		panic("fetch")
	}
	start := io.LimitReader(bytes.NewReader(b.after), r.MaxBytes)
	return io.NopCloser(io.MultiReader(start, readerFunc(func([]byte) (int, error) { panic("read") }))), nil
}

// A panic is a reason, is told, gives all back that was taken, and is not remembered.
func TestPanicIsNotChecked(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	list := ca.crl(nil)
	part := make([]byte, 5*maxElement)
	_, err := io.ReadFull(&hugeCRL{ca: ca, entries: len(part) / 10}, part)
	require.NoError(t, err)
	for name, fetcher := range map[string]*breaking{
		"fetch": {}, "before the list": {after: []byte{}}, "behind the list": {after: list}, "among its entries": {after: part},
	} {
		for _, where := range []leaf{ca.leaf(withCRL(crlURL)), ca.leaf(withOCSP(ocspURL))} {
			var told atomic.Int32
			turns := newTurns(1)
			c := NewChecker(Config{Fetcher: fetcher, Panicked: func(any, []byte) { told.Add(1) }})
			fetcher.fetches.Store(0)
			for i := range int32(2) {
				q := ca.query(where)
				q.Turn = turns.take
				r, said := explained(t, c, q)
				requireReason(t, defect, r, said)
				require.Equal(t, i+1, fetcher.fetches.Load(), name)
				require.Equal(t, i+1, told.Load(), name)
			}
			require.Zero(t, turns.held.Load())
			require.Zero(t, c.indexes.used)
			require.Empty(t, c.cache.byKey)
		}
	}
}

type broken struct{ weight }

func (broken) judge(*subject, source) (Result, error) { panic("judge") }

// What was good before the defect does not count; what was revoked does.
func TestDefectIsNeverGood(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	l := ca.leaf(withCRL(crlURL))
	c := NewChecker(Config{Fetcher: &serves{answers: map[string][]byte{crlURL: ca.crl(nil)}}})
	s, err := newSubject(ca.query(l).Chain, 0, ca.now)
	require.NoError(t, err)
	c.cache.remember(s.key(source{CRL, crlURL}), broken{}, time.Now())

	q := stapled(ca, l, ca.ocsp(l, nil))
	q.CRLs = [][]byte{ca.crl(nil)}
	r, said := explained(t, c, q)
	requireReason(t, defect, r, said)
	q.CRLs = [][]byte{ca.crl(nil, l)}
	r, _ = explained(t, c, q)
	require.Equal(t, Revoked, r.Outcome)
}

func TestPanickingTurnIsADefect(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	calls := 0
	q := ca.query(ca.leaf(withCRL(crlURL)))
	q.Turn = func(context.Context) (func(), error) {
		if calls++; calls > 1 {
			panic("turn")
		}
		return func() {}, nil
	}
	r, said := explained(t, NewChecker(Config{Fetcher: &serves{answers: map[string][]byte{crlURL: ca.crl(nil)}}}), q)
	requireReason(t, defect, r, said)
}
