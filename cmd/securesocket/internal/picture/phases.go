package picture

import (
	"time"

	pb "securesocket/gen/securesocket/v1"
)

// phase is one bar of the waterfall.
type phase struct {
	name        string
	level       int // how many phases it lies inside of
	start, took time.Duration
	reached     bool
	failed      bool
}

func (p phase) end() time.Duration { return p.start + p.took }

// phases are those that were reached, and the one that failed, on one axis of the length total.
func (d *Diagnosis) phases() (rows []phase, total time.Duration) {
	timeline, failed := d.Reply.GetTimeline(), d.Reply.GetFailedPhase()
	for _, row := range []struct {
		name  string
		level int
		span  *pb.Span
		phase pb.Phase
	}{
		{"policy", 0, timeline.GetPolicy(), pb.Phase_PHASE_POLICY},
		{"dns", 0, timeline.GetDns(), pb.Phase_PHASE_DNS},
		{"tcp", 0, timeline.GetTcp(), pb.Phase_PHASE_TCP},
		{"handshake", 0, timeline.GetHandshake(), pb.Phase_PHASE_HANDSHAKE},
		{"validation", 1, timeline.GetValidation(), pb.Phase_PHASE_CERTIFICATE},
		{"revocation", 2, timeline.GetRevocation(), pb.Phase_PHASE_UNSPECIFIED},
		{"decision", 1, timeline.GetDecision(), pb.Phase_PHASE_UNSPECIFIED},
	} {
		p := phase{name: row.name, level: row.level, reached: row.span != nil,
			failed: failed != pb.Phase_PHASE_UNSPECIFIED && failed == row.phase}
		// Durations come from the service; a negative one would turn a bar around.
		p.start, p.took = max(row.span.GetStart().AsDuration(), 0), max(row.span.GetDuration().AsDuration(), 0)
		if p.reached || p.failed {
			rows = append(rows, p)
			total = max(total, p.end())
		}
	}
	return rows, total
}

// bar is where p lies on an axis of n cells: at least one cell, within the axis.
func (p phase) bar(total time.Duration, n int) (from, to int) {
	if total <= 0 {
		return 0, 1
	}
	scale := float64(n) / float64(total)
	from = min(int(float64(p.start)*scale), n-1)
	to = min(max(int(float64(p.end())*scale+0.5), from+1), n)
	return from, to
}
