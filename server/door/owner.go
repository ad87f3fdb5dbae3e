package door

import (
	"cmp"
	"sync/atomic"

	"securesocket/session/quota"
)

// account is how much there is of something, of which there may be so much.
type account struct {
	held  atomic.Int64
	most  int64
	total *account // this one is a part of it; nil: of none
}

// add counts n more, and reports whether there is room for them.
func (a *account) add(n int) (fits bool) {
	fits = true
	for ; a != nil; a = a.total {
		if a.held.Add(int64(n)) > a.most {
			fits = false
		}
	}
	return fits
}

// over reports whether there is more than there may be.
func (a *account) over() bool { return a.held.Load() > a.most }

// owner is whose connections hold something: a caller, all strangers together, or those
// of one place.
type owner struct {
	connections int     // of a caller; the Door's mu guards it
	unfinished  account // bytes of messages that have begun and not ended
	rpcs        account // that have begun and not ended
	streams     account // of HTTP/2: their RPC may have ended, and its answer not be taken
}

// begin takes room for n RPCs, or says what there is no room of. The names are those of
// the owner's own limit, and of that of all together; free RPCs count, and need no room of
// his own.
func (o *owner) begin(n int, mine, all Limit, free bool) *LimitError {
	if n == 0 {
		return nil
	}
	own, together := o.count(int64(n), mine, all)
	if free {
		own = nil
	}
	full := cmp.Or(own, together)
	if full != nil {
		o.rpcs.add(-n)
	}
	return full
}

func (o *owner) count(n int64, mine, all Limit) (full, together *LimitError) {
	own := o.rpcs.held.Add(n)
	if own > o.rpcs.most || o.streams.over() {
		full = &LimitError{What: mine, Limit: int(o.rpcs.most)}
	}
	total := o.rpcs.total
	if total == nil {
		return full, nil
	}
	room := quota.Room(own, total.most)
	if total.held.Add(n) > room {
		together = &LimitError{What: all, Limit: int(room)}
	}
	return full, together
}
