package callers

import "time"

// wasSet tells whether the wall clock was set between two instants: then what was judged by it is to be judged again. Both
// have a monotonic reading, or neither.
func wasSet(then, now time.Time) bool {
	return (now.Round(0).Sub(then.Round(0)) - now.Sub(then)).Abs() > clockSkew
}
