package egress

import (
	"net/netip"
	"slices"

	"securesocket/server/ruletext"
)

// RuleDefault is what an [Explanation] calls that nothing denied and there is no
// allow list.
const RuleDefault = "default"

// Step is one rule that was asked about one subject.
type Step struct {
	// Rule is the rule's id, as in [DeniedError].
	Rule string
	// Source is where an explicit rule is written, FILE:LINE or as
	// [Config.AllowSources] says, for administrators only; empty for what is built in.
	Source string
	// Subject is the name or the address that was judged, with its port.
	Subject string
	// Matched says that the rule applies. One that needs an address does not before
	// there is one, whether it denies or allows. A built-in class from which an allow rule
	// frees does not; its Text says so.
	Matched bool
	// Allowed is what the rule says where it applies: false for one that denies.
	Allowed bool
	// Text is for people: why it applies or does not.
	Text string
}

// Explanation is how a policy judges a target.
type Explanation struct {
	// Allowed says that CheckName and CheckAddr, for every address, deny nothing.
	// Without addresses it is CheckName's answer alone.
	Allowed bool
	// Decisive is the rule that first denied, or the one that allowed the last
	// address: an allow rule or [RuleDefault]. It is empty where only the name was
	// judged, and not denied: then the addresses decide.
	Decisive string
	// Reported is, in mode report, the rule that would have denied first; else "".
	Reported string
	// Usable is those of the addresses that CheckAddr does not deny, which are
	// dialled if CheckName denies nothing and [Policy.FirstAllowed] is true.
	Usable []netip.Addr
	// Steps is every rule that was asked, in the order of judging, first for the
	// name, then for each address. What comes after a rule that decided was not
	// asked. Their number grows with rules times addresses.
	Steps []Step
}

// Explain judges t as [Policy.CheckName] and, for each of addrs, [Policy.CheckAddr]
// do, and says how. It reports nothing in mode report. A literal is judged once,
// whether or not addrs repeats it.
func (p *Policy) Explain(caller string, t Target, addrs []netip.Addr, port int) Explanation {
	if port < 1 || port > 65535 {
		return Explanation{Decisive: RuleInvalidAddress, Steps: []Step{{
			Rule: RuleInvalidAddress, Subject: t.String(), Matched: true, Text: "the port is not from 1 to 65535",
		}}}
	}
	q := question{caller, t.Name, port}
	rec := &recorder{e: Explanation{Allowed: true}}
	if t.Addr.IsValid() {
		if !slices.Contains(addrs, t.Addr) {
			addrs = append([]netip.Addr{t.Addr}, addrs...)
		}
	} else {
		rec.ended(p.judge(q, netip.Addr{}, rec))
	}
	for _, a := range addrs {
		if !a.IsValid() {
			rec.step(Step{Rule: RuleInvalidAddress, Subject: t.String(), Matched: true, Text: "there is no address"})
			rec.ended(outcome{denied: &DeniedError{Rule: RuleInvalidAddress}})
			continue
		}
		if rec.ended(p.judge(q, plain(a), rec)) {
			rec.e.Usable = append(rec.e.Usable, a)
		}
	}
	return rec.e
}

// recorder writes an Explanation. A nil one records nothing.
type recorder struct {
	e       Explanation
	granted string // the first allow rule that gave something to the first subject of this judgement
}

func (r *recorder) step(s Step) { r.e.Steps = append(r.e.Steps, s) }

// ended takes what one judgement came to, and reports whether nothing was denied.
func (r *recorder) ended(o outcome) bool {
	if o.would != nil && r.e.Reported == "" {
		r.e.Reported = o.would.Rule
	}
	r.granted = ""
	if o.denied == nil {
		return true
	}
	if r.e.Allowed {
		r.e.Allowed, r.e.Decisive = false, o.denied.Rule
	}
	return false
}

// denying is [ruleSet.denying] rule by rule.
func (r *recorder) denying(s *ruleSet, q question, at []netip.Addr, subject func(netip.Addr) string) (*rule, netip.Addr) {
	for _, rule := range s.rules {
		var err error
		for _, a := range at {
			var denies bool
			if denies, err = rule.denies(q, a); denies {
				r.explicit(rule, q, a, subject(a), true, err)
				return rule, a
			}
		}
		r.explicit(rule, q, at[0], subject(at[0]), false, err)
	}
	return nil, netip.Addr{}
}

// granting is [ruleSet.granting] rule by rule.
func (r *recorder) granting(s *ruleSet, q question, at netip.Addr, subject string) grant {
	var all grant
	for _, rule := range s.rules {
		g, err := rule.grants(q, at)
		// What some address could be given keeps the name from being denied; nothing applies yet.
		applies := g != 0 && !rule.awaits(q, at)
		r.explicit(rule, q, at, subject, applies, err)
		if applies && r.granted == "" {
			r.granted = rule.id
		}
		all |= g
	}
	return all
}

func (r *recorder) explicit(rule *rule, q question, at netip.Addr, subject string, matched bool, err error) {
	text := "it does not apply"
	switch {
	case err != nil:
		text = "its condition cannot be evaluated: " + ruletext.Quote(err.Error())
	case matched:
		text = "it applies to " + ruletext.Quote(rule.about)
		if rule.why != "" {
			text += ": " + ruletext.Quote(rule.why)
		}
	case len(rule.callers) > 0 && !rule.isFor(question{q.caller, "", int(rule.somePort())}):
		text = "it is about other callers"
	case !rule.isFor(q):
		text = "it is about other ports"
	case rule.awaits(q, at):
		text = "it does not apply before the addresses are known"
	}
	r.step(Step{Rule: rule.id, Source: rule.source, Subject: subject, Matched: matched, Allowed: rule.allow, Text: text})
}

// somePort returns a port that the rule is about.
func (r *rule) somePort() uint16 {
	if len(r.ports) == 0 {
		return 1
	}
	return r.ports[0].First
}

// builtin records a rule that denies what is, unless freed.
func (r *recorder) builtin(rule, subject string, is, freed bool) {
	if r == nil {
		return
	}
	text := "it does not apply"
	switch {
	case is && freed:
		text = "an allow rule frees from it"
	case is:
		text = "it applies"
	}
	r.step(Step{Rule: rule, Subject: subject, Matched: is && !freed, Text: text})
}

// classes records the built-in classes of an address, of which class, or "", is
// the one that applies.
func (r *recorder) classes(class, subject string, at netip.Addr, freed bool) {
	if r == nil {
		return
	}
	if at.IsValid() {
		special := class != "" && class != RulePort25
		rule := RuleSpecialPurpose
		if special {
			rule = class
		}
		r.builtin(rule, subject, special, freed)
		if special && !freed {
			return
		}
	}
	r.builtin(RulePort25, subject, class == RulePort25, freed)
}

// passed records that nothing denied.
func (r *recorder) passed(subject string, at netip.Addr, g grant) {
	switch {
	case r == nil || !at.IsValid():
		return
	case g == 0:
		r.step(Step{Rule: RuleDefault, Subject: subject, Matched: true, Allowed: true, Text: "nothing denies it"})
		r.granted = RuleDefault
	}
	if r.e.Allowed {
		r.e.Decisive = r.granted
	}
}
