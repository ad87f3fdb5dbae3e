package door

import (
	"fmt"
	"time"
)

// Limit names a limit of a Door. The strings are stable: dashboards may compare
// with them.
type Limit string

// The limits of connections.
const (
	// LimitAll is Config.Max, or what of it is not kept for callers who have few.
	LimitAll Limit = "connections"
	// LimitCaller is Config.PerCaller.
	LimitCaller Limit = "connections_per_caller"
	// LimitUnclaimed is Config.Unclaimed.
	LimitUnclaimed Limit = "connections_unclaimed"
	// LimitAddress is Config.PerAddress.
	LimitAddress Limit = "connections_per_address"
	// LimitLocal is Config.Local.
	LimitLocal Limit = "connections_local"
	// LimitRPCs is Config.RPCs, or of strangers half of it, or what of Config.RPCs is not
	// kept for callers who have few.
	LimitRPCs Limit = "rpcs"
	// LimitRPCsPerCaller is Config.RPCsPerCaller.
	LimitRPCsPerCaller Limit = "rpcs_per_caller"
	// LimitUnfinished is Config.UnfinishedPerCaller, in bytes, of a connection that is
	// claimed with more than that. Otherwise a connection that brings too much just ends.
	LimitUnfinished Limit = "unfinished_per_caller"
	// LimitVisits is how many visits a connection may have at once; 32.
	LimitVisits Limit = "visits"
	// LimitReserve is what Config.Reserve said. It has no number.
	LimitReserve Limit = "reserve"
	// LimitMisuse is what useless connections cost those who made them. It has no
	// number, but an end.
	LimitMisuse Limit = "misuse"
)

// LimitError says that there is no room for a connection or an RPC.
type LimitError struct {
	What  Limit
	Limit int // 0 for LimitReserve and LimitMisuse
	// Retry is after how long there is room again, where that is known; 0 otherwise.
	Retry time.Duration
}

func (e *LimitError) Error() string {
	switch e.What {
	case LimitVisits:
		return fmt.Sprintf("no room for another call of health or reflection: a connection has %d at once", e.Limit)
	case LimitRPCs, LimitRPCsPerCaller:
		return fmt.Sprintf("no room for another RPC: %s is %d", e.What, e.Limit)
	case LimitUnfinished:
		return fmt.Sprintf("no room for what came before the caller was known: %s is %d", e.What, e.Limit)
	case LimitReserve:
		return "no room for another connection: the reserve is not to be touched"
	case LimitMisuse:
		return fmt.Sprintf("connections were ended for a flood, or for messages that did not end: no new one for another %v", e.Retry.Truncate(time.Second/10)+time.Second/10)
	}
	return fmt.Sprintf("no room for another connection: %s is %d", e.What, e.Limit)
}
