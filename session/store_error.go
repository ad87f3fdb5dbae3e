package session

import (
	"errors"
	"sync"
	"time"

	"securesocket/session/durable"
)

// storeError makes what the disk does not take a ResourceError, and what else the store cannot do an InternalError. Both
// say no more to a caller; the log has it.
func (r *Registry) storeError(err error) error {
	switch err.(type) { //nolint:errorlint // as this package made it
	case nil, *LimitError, *InternalError, *NotAllowedError, *FieldError:
		return err
	}
	if disk, ok := errors.AsType[*durable.DiskError](err); ok {
		if more, due := r.disk.due(); due {
			r.cfg.Logger.Error("what is to be kept cannot be written", "error", disk.Error(), "more_since_last", more)
		}
		return &ResourceError{noDisk}
	}
	return Internal(r.cfg.Logger, "what is kept cannot be read or written", "error", err.Error())
}

// diskErrors says when one may be logged, at most once a second: callers choose how often they try.
type diskErrors struct {
	mu     sync.Mutex
	last   time.Time
	silent int // errors since then
}

// due reports whether a line may be written, and how many were not since the last one.
func (d *diskErrors) due() (more int, ok bool) {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.last.IsZero() && now.Sub(d.last) < time.Second {
		d.silent++
		return 0, false
	}
	more = d.silent
	d.last, d.silent = now, 0
	return more, true
}
