package session

import (
	"crypto/sha256"
	"time"
)

// How long a request_id is remembered, and how many are.
const (
	requestMemory = 10 * time.Minute
	maxRequests   = 4096
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
}

type requestEntry[T any] struct {
	digest [sha256.Size]byte
	at     time.Time
	value  T
}

// find returns what the same call led to before. The error is a RequestIDError.
func (l *requestLog[T]) find(r Request, now time.Time) (v T, found bool, err error) {
	e, ok := l.entries[r.ID]
	if r.ID == "" || !ok || now.Sub(e.at) > requestMemory {
		return v, false, nil
	}
	if e.digest != r.Digest {
		return v, false, &RequestIDError{ID: r.ID}
	}
	return e.value, true, nil
}

// room fails with a LimitError when no further request can be remembered.
func (l *requestLog[T]) room(r Request, now time.Time) error {
	if r.ID == "" || len(l.entries) < maxRequests {
		return nil
	}
	for id, e := range l.entries {
		if now.Sub(e.at) > requestMemory {
			delete(l.entries, id)
		}
	}
	if len(l.entries) >= maxRequests {
		return &LimitError{What: "request_ids within 10 minutes", Limit: maxRequests}
	}
	return nil
}

func (l *requestLog[T]) remember(r Request, v T, now time.Time) {
	if r.ID == "" {
		return
	}
	if l.entries == nil {
		l.entries = make(map[string]requestEntry[T])
	}
	l.entries[r.ID] = requestEntry[T]{digest: r.Digest, at: now, value: v}
}

func (l *requestLog[T]) forget(id string) { delete(l.entries, id) }
