package egress

import (
	"fmt"
	"net/netip"
	"slices"

	"securesocket/server/ruletext"
)

// question is what does not change while the addresses of a target are judged.
type question struct {
	caller string
	name   string // "" when the target is a literal
	port   int
}

// grant is what allow rules give to a target or an address; bits.
type grant uint8

const (
	byName     grant = 1 << iota // its exact name: frees from the built-in rules
	byAddr                       // its address: frees from the built-in rules
	byLoopback                   // and the address is one of the loopback
	listed                       // *.NAME or *: in the allow list, and no more

	frees = byName | byAddr
)

// rule is one explicit rule. It is immutable.
type rule struct {
	id      string // stable as long as the rule keeps its place
	source  string // FILE:LINE, a flag or a variable, for administrators
	about   string // what it is about, as it was written
	why     string // what the operator wrote for people, or ""
	allow   bool
	to      []pattern
	ports   []ruletext.Ports // empty: every port
	callers []callerPattern  // empty: everybody
	when    *condition       // nil: always
}

// listRule is the entry of [Config.Allow] at that place.
func listRule(place int, entry string, to pattern, sources []string) *rule {
	r := &rule{id: fmt.Sprintf("egress-allow[%d]", place), source: "--egress-allow", about: entry, allow: true, to: []pattern{to}}
	if place < len(sources) && sources[place] != "" {
		r.source = sources[place]
	}
	return r
}

// isFor reports whether the rule is about the port and the caller of q.
func (r *rule) isFor(q question) bool {
	return (len(r.ports) == 0 || slices.ContainsFunc(r.ports, func(p ruletext.Ports) bool { return p.Contains(q.port) })) &&
		(len(r.callers) == 0 || slices.ContainsFunc(r.callers, func(c callerPattern) bool { return c.covers(q.caller) }))
}

// holds asks the condition, and fails closed: one that cannot be evaluated makes
// a deny rule deny and an allow rule allow nothing. Before DNS, at is invalid: a
// condition about the address does not make a deny rule deny yet, and an allow
// rule may still allow.
func (r *rule) holds(q question, at netip.Addr) (bool, error) {
	switch {
	case r.when == nil:
		return true, nil
	case r.when.needsAddress && !at.IsValid():
		return r.allow, nil
	}
	ok, err := r.when.eval(q, at)
	if err != nil {
		return !r.allow, err
	}
	return ok, nil
}

// awaits reports whether the rule has an answer only once an address is known, and none is: it is about addresses, or its
// condition is.
func (r *rule) awaits(q question, at netip.Addr) bool {
	if at.IsValid() || !r.isFor(q) {
		return false
	}
	byName, byAddress := false, false
	for _, p := range r.to {
		switch {
		case !p.coversPort(q.port):
		case p.prefix.IsValid():
			byAddress = true
		case p.covers(q.name, at):
			byName = true
		}
	}
	return byAddress && !byName || byName && r.when != nil && r.when.needsAddress
}

// denies reports whether a deny rule is about at, or about the name in q.
func (r *rule) denies(q question, at netip.Addr) (bool, error) {
	if !r.isFor(q) || !slices.ContainsFunc(r.to, func(p pattern) bool { return p.coversPort(q.port) && p.covers(q.name, at) }) {
		return false, nil
	}
	return r.holds(q, at)
}

// grants returns what an allow rule gives.
func (r *rule) grants(q question, at netip.Addr) (grant, error) {
	if !r.isFor(q) {
		return 0, nil
	}
	var g grant
	for _, p := range r.to {
		if p.coversPort(q.port) {
			g |= p.grants(q.name, at)
		}
	}
	if g == 0 {
		return 0, nil
	}
	if ok, err := r.holds(q, at); !ok {
		return 0, err
	}
	return g, nil
}
