package session

import (
	"slices"

	"securesocket/tlsengine"
)

// freeFacts is what a session's events and the peer's chain may cost, in bytes, before
// they count as its buffers do: more than those of a usual connection. By its choice of
// certificates a peer can make them a hundred times as large.
const freeFacts = 32 << 10

// factsLocked is what they cost beyond that. Mostly no event has come or gone since it
// was asked last.
func (s *Session) factsLocked() int64 {
	if at := s.core.LastEvent()<<8 | int64(len(s.core.Kept())); at != s.weighed {
		s.weighed = at
		s.weighFactsLocked()
	}
	return s.facts
}

// weighFactsLocked reckons them anew. The events of a generation share a chain with each
// other and with the session's report: it counts once.
func (s *Session) weighFactsLocked() {
	cost, last := s.report.Footprint(), s.report
	for _, e := range slices.Backward(s.core.Kept()) {
		kind, _ := e.Value.(EventKind)
		cost += ownSizeOf(kind)
		if r := reportOf(kind); r != nil && !sameChain(r, last) {
			cost += r.Footprint()
			last = r
		}
	}
	s.facts = max(0, int64(cost)-freeFacts)
}

// keepReportLocked stores the verdict of the current generation, if there is room for
// what it costs. The error is a LimitError, and then nothing of it is kept.
func (s *Session) keepReportLocked(r *tlsengine.Report) error {
	known := sameChain(r, s.report) // its owner was asked about it: his answer stands
	s.status, s.report = r.Status, r
	s.weighFactsLocked()
	s.accountLocked()
	if known || s.facts == 0 {
		return nil
	}
	err := s.scarcityLocked()
	if err != nil {
		s.unjudgedLocked()
		s.accountLocked()
	}
	return err
}

// unjudgedLocked forgets the verdict.
func (s *Session) unjudgedLocked() {
	s.status, s.report = tlsengine.StatusUnknown, nil
	s.weighFactsLocked()
}

// scarcityLocked says whose budget is used up, as a LimitError; nil: none is.
func (s *Session) scarcityLocked() error {
	switch {
	case s.buffered.exceeded():
		return &LimitError{What: "buffered bytes of a caller", Limit: int(s.buffered.limit), Retry: retrySoon}
	case s.reg.buffered.exceeded():
		return &LimitError{What: "buffered bytes", Limit: int(s.reg.buffered.limit), Retry: retrySoon}
	}
	return nil
}

// reportOf is the report that an event has; nil: it has none.
func reportOf(kind EventKind) *tlsengine.Report {
	switch k := kind.(type) {
	case CertificateError:
		return k.Report
	case SecureConnected:
		return k.Report
	}
	return nil
}

// sameChain tells whether two reports are about what the peer sent in one handshake.
func sameChain(a, b *tlsengine.Report) bool {
	switch {
	case a == b:
		return true
	case a == nil || b == nil || len(a.PeerChain) == 0 || len(a.PeerChain) != len(b.PeerChain):
		return false
	}
	return &a.PeerChain[0] == &b.PeerChain[0]
}
