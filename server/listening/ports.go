package listening

import (
	"cmp"
	"slices"

	"securesocket/server/ruletext"
)

var (
	everyPort    = ruletext.Ports{First: 1, Last: 65535}
	unprivileged = ruletext.Ports{First: 1024, Last: 65535}
)

// merge sorts all, in place, and joins what overlaps or touches.
func merge(all []ruletext.Ports) []ruletext.Ports {
	slices.SortFunc(all, func(a, b ruletext.Ports) int { return cmp.Compare(a.First, b.First) })
	var merged []ruletext.Ports
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
