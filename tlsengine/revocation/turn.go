package revocation

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// turn is the right of one goroutine to use the CPU. It is held while the goroutine computes, and never while it waits for
// the network, a flight or another turn: an owner who has a single turn is never waited for by himself.
type turn struct {
	take func(ctx context.Context) (done func(), err error) // see Query.Turn; nil: there is no need
	done func()                                             // nil: it is not held

	mu    sync.Mutex
	lost  time.Duration // on waiting for the turn
	since time.Time     // when the wait that goes on began; zero: there is none
}

// begin waits for the turn, unless it is held.
func (t *turn) begin(ctx context.Context) error {
	if t.take == nil || t.done != nil {
		return nil
	}
	t.wait(time.Now())
	defer t.wait(time.Time{})
	done, err := t.take(ctx)
	switch {
	case err == nil:
		t.done = done
		return nil
	case errors.Is(ctx.Err(), context.Canceled):
		return callerLeft
	}
	return noTurn
}

// end gives the turn back, if it is held.
func (t *turn) end() {
	if done := t.done; done != nil {
		t.done = nil
		done()
	}
}

// wait notes when a wait began, or, by the zero time, that it is over.
func (t *turn) wait(since time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.since.IsZero() {
		t.lost += time.Since(t.since)
	}
	t.since = since
}

// waited is how long the turn has been waited for until now. It may run beside the goroutine whose turn it is.
func (t *turn) waited() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.since.IsZero() {
		return t.lost
	}
	return t.lost + time.Since(t.since)
}

// over gives what r gives, for which it waits without the turn; the turn is held when it returns without an error. It
// fills what it is given, so that a turn is good for as much as the reader's buffer holds.
func (t *turn) over(ctx context.Context, r io.Reader) io.Reader {
	return readerFunc(func(p []byte) (n int, err error) {
		t.end()
		for n < len(p) && err == nil {
			var more int
			if more, err = r.Read(p[n:]); more == 0 {
				break // it may give nothing for ever
			}
			n += more
		}
		if refused := t.begin(ctx); refused != nil {
			return 0, refused
		}
		return n, err
	})
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
