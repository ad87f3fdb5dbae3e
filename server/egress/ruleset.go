package egress

import (
	"iter"
	"net/netip"
	"strings"
)

// ruleSet is rules in their order, with an index: exact names and the names below
// one are found by map, whatever their number. Prefixes and * are compared one by
// one, some nanoseconds each: a thousand cost less than the dial that follows.
type ruleSet struct {
	rules    []*rule
	exact    map[string][]ref
	below    map[string][]ref
	anything []ref
	prefixes []ref
}

// ref is a pattern and the place of its rule.
type ref struct {
	place int
	*pattern
	before grant // what a prefix gives before DNS
}

func newRuleSet(rules []*rule) ruleSet {
	s := ruleSet{rules: rules, exact: map[string][]ref{}, below: map[string][]ref{}}
	for i, r := range rules {
		for j := range r.to {
			p := &r.to[j]
			switch at := (ref{place: i, pattern: p}); {
			case p.any:
				s.anything = append(s.anything, at)
			case p.below:
				s.below[p.name] = append(s.below[p.name], at)
			case p.name != "":
				s.exact[p.name] = append(s.exact[p.name], at)
			default:
				at.before = p.grants("", netip.Addr{})
				s.prefixes = append(s.prefixes, at)
			}
		}
	}
	return s
}

// about yields every pattern that covers the name, or every name.
func (s *ruleSet) about(name string) iter.Seq[ref] {
	return func(yield func(ref) bool) {
		every := func(refs []ref) bool {
			for _, r := range refs {
				if !yield(r) {
					return false
				}
			}
			return true
		}
		if name != "" && !every(s.exact[name]) {
			return
		}
		for rest, ok := name, len(s.below) > 0; ok; {
			if _, rest, ok = strings.Cut(rest, "."); ok && !every(s.below[rest]) {
				return
			}
		}
		every(s.anything)
	}
}

// denying returns the first deny rule that is about one of at, and which, or nil.
func (s *ruleSet) denying(q question, at []netip.Addr) (*rule, netip.Addr) {
	first, where := len(s.rules), netip.Addr{}
	consider := func(r ref, a netip.Addr) {
		if r.place >= first || !r.coversPort(q.port) || !s.rules[r.place].isFor(q) {
			return
		}
		if denies, _ := s.rules[r.place].holds(q, a); denies {
			first, where = r.place, a
		}
	}
	for _, a := range at {
		for r := range s.about(q.name) {
			consider(r, a)
		}
		if !a.IsValid() {
			continue
		}
		for i := range s.prefixes {
			if r := &s.prefixes[i]; r.prefix.Contains(a) {
				consider(*r, a)
			}
		}
	}
	if first == len(s.rules) {
		return nil, where
	}
	return s.rules[first], where
}

// granting returns what all allow rules together give to at.
func (s *ruleSet) granting(q question, at netip.Addr) grant {
	var all grant
	consider := func(r ref, g grant) {
		if g&^all == 0 || !r.coversPort(q.port) || !s.rules[r.place].isFor(q) {
			return
		}
		if ok, _ := s.rules[r.place].holds(q, at); ok {
			all |= g
		}
	}
	for r := range s.about(q.name) {
		consider(r, r.grants(q.name, at))
	}
	for i := range s.prefixes {
		switch r := &s.prefixes[i]; {
		case !at.IsValid():
			consider(*r, r.before)
		case r.prefix.Contains(at):
			consider(*r, r.grants(q.name, at))
		}
	}
	return all
}
