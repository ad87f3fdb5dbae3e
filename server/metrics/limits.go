package metrics

import (
	"strings"

	"securesocket/server/door"
)

// doorLimits are the limits of connections to the service.
var doorLimits = []door.Limit{
	door.LimitAll, door.LimitCaller, door.LimitUnclaimed, door.LimitAddress, door.LimitLocal, door.LimitReserve, door.LimitMisuse,
	door.LimitRPCs, door.LimitRPCsPerCaller, door.LimitUnfinished, door.LimitVisits,
}

// limited is everything that a limit is named for: as the texts of errors have it,
// which are for people, and as a label has it. Most are there for one caller too.
var limited = map[string]string{
	"sessions":                              "sessions",
	"listeners":                             "listeners",
	"handshakes":                            "handshakes",
	"handshakes under way":                  "handshakes",
	"attaches":                              "attaches",
	"attaches in short order":               "attaches",
	"destinations":                          "destinations",
	"new destinations":                      "destinations",
	"new destinations in short order":       "destinations",
	"connections":                           "connections",
	"bytes":                                 "bytes",
	"buffered":                              "buffered",
	"buffered bytes":                        "buffered",
	"buffered bytes for given certificates": "given",
}

// single are limits that there is only one of.
var single = []string{"memory", "descriptors", "certificates", "attaches_per_session"}

// perCaller ends the label of a limit for one caller, as in the configuration.
const perCaller = "_per_caller"

// limitLabels is the closed set.
func limitLabels() []string {
	set := map[string]bool{}
	for _, label := range limited {
		set[label], set[label+perCaller] = true, true
	}
	for _, label := range single {
		set[label] = true
	}
	for _, l := range doorLimits {
		set[string(l)] = true
	}
	labels := make([]string, 0, len(set))
	for label := range set {
		labels = append(labels, label)
	}
	return labels
}

// limitLabel returns the label for the name of a limit; what it does not know it
// returns as it is, for the closed set to judge.
func limitLabel(name string) string {
	if base, ok := strings.CutSuffix(name, " of a caller"); ok {
		if label, known := limited[base]; known {
			return label + perCaller
		}
	}
	if label, known := limited[name]; known {
		return label
	}
	switch {
	case strings.Contains(name, "certificates "):
		return "certificates"
	case strings.HasSuffix(name, "attaches of a session in short order"):
		return "attaches_per_session"
	}
	return name
}
