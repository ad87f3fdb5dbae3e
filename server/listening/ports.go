package listening

import (
	"cmp"
	"slices"
)

// PortRange is the ports from First to Last, both included. The zero value has
// port 0 alone, which nobody listens at.
type PortRange struct{ First, Last uint16 }

// Contains reports whether port is one of them.
func (r PortRange) Contains(port uint16) bool { return r.First <= port && port <= r.Last }

var (
	everyPort    = PortRange{1, 65535}
	unprivileged = PortRange{1024, 65535}
)

// merge sorts all, in place, and joins what overlaps or touches.
func merge(all []PortRange) []PortRange {
	slices.SortFunc(all, func(a, b PortRange) int { return cmp.Compare(a.First, b.First) })
	var merged []PortRange
	for _, r := range all {
		// One more than 65535 is no uint16.
		if n := len(merged); n > 0 && int(r.First) <= int(merged[n-1].Last)+1 {
			merged[n-1].Last = max(merged[n-1].Last, r.Last)
			continue
		}
		merged = append(merged, r)
	}
	return merged
}
