package quota

import (
	"fmt"
	"time"
)

// Error reports that a limit is reached.
type Error struct {
	What   string // what is limited, a stable name such as "handshakes"
	Caller bool   // the caller's own limit; false: the one for all together

	// Limit is how much may be held at once or, of a rate, how much goes in a
	// second. Used is how much was held or, of a rate, how much of the burst was
	// used up.
	Limit, Used int64

	// RetryAfter is when the same would be granted if nobody else took anything. 0:
	// time alone does not help; something has to be given back, or less asked for.
	RetryAfter time.Duration
}

func (e *Error) Error() string {
	whose := "of all callers together"
	if e.Caller {
		whose = "of this caller"
	}
	if e.RetryAfter > 0 {
		return fmt.Sprintf("%s: the limit %s is %d a second; retry after %v", e.What, whose, e.Limit, e.RetryAfter)
	}
	return fmt.Sprintf("%s: the limit %s is %d, and %d is in use", e.What, whose, e.Limit, e.Used)
}
