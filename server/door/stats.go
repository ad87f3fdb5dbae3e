package door

// Stats are counts for metrics. The first four are gauges, the others only
// grow.
type Stats struct {
	// Open is how many connections there are; Unclaimed how many of them count for an
	// address; Callers how many callers have the others.
	Open, Unclaimed, Callers int
	// Unfinished is how many bytes of messages there are that have begun and not ended.
	Unfinished int64

	// Accepted is how many were let in.
	Accepted uint64
	// Refused is how many were not, by limit: those of a caller, and some of LimitAll and
	// LimitMisuse, at their claim, all others as they came. It is the receiver's.
	Refused map[Limit]uint64
	// GaveWay is how many unclaimed ones were closed for a newcomer.
	GaveWay uint64
	// Expired is how many were closed because nobody claimed them.
	Expired uint64
	// Unused is how many ended before anybody claimed them, for whom there was room:
	// TLS handshakes that failed, RPCs that were all refused, probes.
	Unused uint64
	// Flooded is how many were closed for their frames.
	Flooded uint64
	// Hoarded is how many were closed for messages that did not end.
	Hoarded uint64
	// AcceptErrors is how often accept(2) failed and was asked again.
	AcceptErrors uint64
}

func (s *Stats) refuse(l Limit) {
	if s.Refused == nil {
		s.Refused = make(map[Limit]uint64)
	}
	s.Refused[l]++
}

// Stats returns the counts of now.
func (d *Door) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.stats
	s.Open, s.Unclaimed, s.Callers = d.open, d.unclaimed(), len(d.callers)
	s.Unfinished = d.unfinished.held.Load()
	s.Refused = make(map[Limit]uint64, len(d.stats.Refused))
	for l, n := range d.stats.Refused {
		s.Refused[l] = n
	}
	return s
}
