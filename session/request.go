package session

import (
	"crypto/sha256"
	"time"
)

// How long a request_id is remembered, and how many at most: of an owner, whose
// log forgets the oldest then, and of a session.
const (
	requestMemory      = 10 * time.Minute
	maxOwnerRequests   = 4096
	maxSessionRequests = 64
)

// Request names a call that may come twice. ID "" means that it does not want
// to be remembered. Digest stands for all its other arguments.
type Request struct {
	ID     string
	Digest [sha256.Size]byte
}

// requestLog remembers what calls with a request_id led to. It has no lock of
// its own.
type requestLog[T any] struct {
	entries map[string]requestEntry[T]
	order   []requestMark // oldest first; an entry that was replaced is in it twice
}

type requestEntry[T any] struct {
	digest [sha256.Size]byte
	at     time.Time
	value  T
}

type requestMark struct {
	id string
	at time.Time
}

// find returns what the same call led to before. The error is a RequestIDError.
func (l *requestLog[T]) find(r Request, now time.Time) (v T, found bool, err error) {
	l.forgetOld(now, -1)
	e, ok := l.entries[r.ID]
	if !ok || r.ID == "" {
		return v, false, nil
	}
	if e.digest != r.Digest {
		return v, false, &RequestIDError{ID: r.ID}
	}
	return e.value, true, nil
}

// remember stores what a call led to, and forgets the oldest beyond limit.
func (l *requestLog[T]) remember(r Request, v T, now time.Time, limit int) {
	if r.ID == "" {
		return
	}
	l.forgetOld(now, limit-1)
	if l.entries == nil {
		l.entries = make(map[string]requestEntry[T])
	}
	l.entries[r.ID] = requestEntry[T]{digest: r.Digest, at: now, value: v}
	l.order = append(l.order, requestMark{r.ID, now})
}

// forgetOld forgets what is older than the memory, and the oldest beyond limit
// (-1: none).
func (l *requestLog[T]) forgetOld(now time.Time, limit int) {
	n := 0
	for n < len(l.order) && (now.Sub(l.order[n].at) > requestMemory || limit >= 0 && len(l.order)-n > limit) {
		m := l.order[n]
		if e, ok := l.entries[m.id]; ok && e.at.Equal(m.at) {
			delete(l.entries, m.id)
		}
		n++
	}
	l.order = l.order[n:]
}

func (l *requestLog[T]) forget(id string) { delete(l.entries, id) }
