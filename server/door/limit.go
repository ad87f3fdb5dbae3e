package door

import "fmt"

// Limit names a limit of a Door. The strings are stable: dashboards may compare
// with them.
type Limit string

// The limits of connections.
const (
	// LimitAll is Config.Max.
	LimitAll Limit = "connections"
	// LimitCaller is Config.PerCaller.
	LimitCaller Limit = "connections_per_caller"
	// LimitUnclaimed is Config.Unclaimed.
	LimitUnclaimed Limit = "connections_unclaimed"
	// LimitAddress is Config.PerAddress.
	LimitAddress Limit = "connections_per_address"
	// LimitLocal is Config.Local.
	LimitLocal Limit = "connections_local"
	// LimitReserve is what Config.Reserve said. It has no number.
	LimitReserve Limit = "reserve"
)

// LimitError says that there is no room for a connection.
type LimitError struct {
	What  Limit
	Limit int // 0 for LimitReserve
}

func (e *LimitError) Error() string {
	if e.What == LimitReserve {
		return "no room for another connection: the reserve is not to be touched"
	}
	return fmt.Sprintf("no room for another connection: %s is %d", e.What, e.Limit)
}
