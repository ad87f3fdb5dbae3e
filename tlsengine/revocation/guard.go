package revocation

import "runtime/debug"

// guard makes a reason of a panic in what reads strangers' bytes or calls a Fetcher: this package's own goroutines are
// out of the reach of any caller's recover.
func (c *Checker) guard(do func() error) (err error) {
	defer func() {
		value := recover()
		if value == nil {
			return
		}
		err = defect
		if c != nil && c.panicked != nil {
			c.panicked(value, debug.Stack())
		}
	}()
	return do()
}
