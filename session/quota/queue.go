package quota

import (
	"container/list"
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// queue gives out what comes into a bucket. While there is enough nobody waits.
// Otherwise owners take turns by deficit round robin: each gets as many bytes a
// round as the largest piece has, in one piece or in many.
type queue struct {
	clock *clock
	pace  *pace

	bucket  bucket
	waiting atomic.Int64 // written under mu

	mu    sync.Mutex
	ring  list.List // of *line: who wait, the next one first
	last  *line     // whose turn it was last, if there is something left of it
	timer *time.Timer
}

// line is where those of one owner wait, in the order in which they came. It is guarded by the queue's lock.
type line struct {
	waiters list.List // of *waiter
	place   *list.Element
	deficit int64 // what he may have in this round
}

type waiter struct {
	n       int64
	granted chan struct{} // closed, under the lock, when it is
}

// wait returns when n, at most the largest piece, are given out to the line, and the
// instant of that; or the context's cause.
func (q *queue) wait(ctx context.Context, l *line, now, n int64) (int64, error) {
	// Whoever passes here just before another begins to wait has only come first.
	if q.waiting.Load() == 0 && q.bucket.take(q.pace, now, n) == 0 {
		return now, nil
	}
	w := &waiter{n: n, granted: make(chan struct{})}
	q.mu.Lock()
	place := l.waiters.PushBack(w)
	switch {
	case l.place != nil:
	case l == q.last:
		// One who asks for little at a time, and for more when he has that, has not
		// ended his turn.
		l.place = q.ring.PushFront(l)
	default:
		l.place, l.deficit = q.ring.PushBack(l), 0
	}
	q.waiting.Add(1)
	q.serveLocked()
	q.mu.Unlock()
	select {
	case <-w.granted:
		return q.clock.now(), nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-w.granted: // meanwhile; it is counted
		return q.clock.now(), nil
	default:
	}
	q.leaveLocked(l, place)
	q.serveLocked() // the timer was perhaps set for this one
	return 0, context.Cause(ctx)
}

// leaveLocked takes a waiter out, granted or not.
func (q *queue) leaveLocked(l *line, place *list.Element) {
	l.waiters.Remove(place)
	q.waiting.Add(-1)
	if l.waiters.Len() == 0 {
		q.ring.Remove(l.place)
		l.place = nil
	}
}

func (q *queue) serve() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.serveLocked()
}

// serveLocked gives out what there is, and comes back when there is more.
func (q *queue) serveLocked() {
	now := q.clock.now()
	for q.ring.Len() > 0 {
		l := q.ring.Front().Value.(*line)
		place := l.waiters.Front()
		w := place.Value.(*waiter)
		if l.deficit < w.n {
			l.deficit += largestPiece
			q.ring.MoveToBack(l.place)
			continue
		}
		if wait := q.bucket.take(q.pace, now, w.n); wait > 0 {
			q.wakeLocked(time.Duration(wait))
			return
		}
		l.deficit -= w.n
		q.last = l
		close(w.granted)
		q.leaveLocked(l, place)
	}
	if q.timer != nil {
		q.timer.Stop()
	}
}

func (q *queue) wakeLocked(d time.Duration) {
	if q.timer == nil {
		q.timer = time.AfterFunc(d, q.serve)
		return
	}
	q.timer.Reset(d)
}
