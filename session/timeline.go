package session

import "time"

// Span is a phase of an attempt: when it began, counted from the attempt's
// start, and how long it took. The zero Span was not reached.
type Span struct {
	Reached  bool
	Start    time.Duration
	Duration time.Duration
}

// Timeline says where the time of an attempt went.
type Timeline struct {
	Policy, DNS, TCP, Handshake, Validation, Revocation, Decision Span
}

// timeline measures an attempt. Guarded by the session's mu.
type timeline struct {
	began time.Time
	spans [spanCount]struct{ from, to time.Duration } // since began; 0: it has not come to that
}

const (
	spanPolicy = iota
	spanDNS
	spanTCP
	spanHandshake
	spanValidation
	spanRevocation
	spanDecision
	spanCount
)

func (t *timeline) begin(span int) { t.spans[span].from = t.since(time.Now()) }
func (t *timeline) end(span int)   { t.spans[span].to = t.since(time.Now()) }

// since is never 0.
func (t *timeline) since(at time.Time) time.Duration { return max(at.Sub(t.began), time.Nanosecond) }

// at returns the timeline as seen at now; phases that have not ended last
// until then.
func (t *timeline) at(now time.Time) Timeline {
	get := func(i int) Span {
		s := t.spans[i]
		if s.from == 0 {
			return Span{}
		}
		if s.to == 0 {
			s.to = t.since(now)
		}
		return Span{Reached: true, Start: s.from, Duration: s.to - s.from}
	}
	return Timeline{get(spanPolicy), get(spanDNS), get(spanTCP), get(spanHandshake), get(spanValidation),
		get(spanRevocation), get(spanDecision)}
}

// set notes a span that was measured elsewhere; a zero start: it was not reached.
func (t *timeline) set(span int, start time.Time, took time.Duration) {
	if !start.IsZero() {
		from := t.since(start)
		t.spans[span].from, t.spans[span].to = from, from+took
	}
}
