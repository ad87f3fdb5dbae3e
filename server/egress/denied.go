package egress

import (
	"fmt"

	"securesocket/server/ruletext"
)

// The rules of a [DeniedError] that are not classes of addresses or names, and
// not rules of a file, which are called deny[0], deny[1] and so on in their
// order. The strings are stable: callers and dashboards may compare with them.
const (
	// RuleOwnAddress: the target is the service itself.
	RuleOwnAddress = "own-address"
	// RulePort25: mail from one server to another, which is how spam leaves.
	RulePort25 = "port-25"
	// RuleNotInAllowList: an allow list was given and nothing in it applies.
	RuleNotInAllowList = "not-in-allow-list"
	// RuleInvalidAddress: there is no address to judge.
	RuleInvalidAddress = "invalid-address"
	// RuleSpecialPurpose and a slash come before the name of a class, as in
	// "special-purpose/loopback".
	RuleSpecialPurpose = "special-purpose"
)

// DeniedError says that the policy does not let the service dial a target.
type DeniedError struct {
	// Rule is the stable short name of the rule that decided.
	Rule string
	// Subject is what was judged: a host or an address, with its port. It may hold
	// an address that the caller gave only as a name.
	Subject string
	// Remedy is what an operator would change to allow it; never empty.
	Remedy string
	// Why is what the operator wrote at the rule for people, who may be callers;
	// empty for a rule without it and for what is built in.
	Why string
	// Source is FILE:LINE of an explicit rule, for the operator's log and for
	// administrators, not for callers; empty for what is built in. It is not part
	// of Error.
	Source string
	// Revision is that of the policy that decided.
	Revision string
}

func (e *DeniedError) Error() string {
	why := ""
	if e.Why != "" {
		why = " (" + ruletext.Quote(e.Why) + ")"
	}
	return fmt.Sprintf("egress to %s denied by rule %s%s; %s", e.Subject, e.Rule, why, e.Remedy)
}

// denied suggests allowing exactly what was refused, and no more.
func denied(rule, subject, allow string) *DeniedError {
	return &DeniedError{Rule: rule, Subject: subject, Remedy: "the operator can allow it with --egress-allow " + allow}
}

func deniedOwn(subject string) *DeniedError {
	return &DeniedError{
		Rule:    RuleOwnAddress,
		Subject: subject,
		Remedy:  "the service does not dial itself, and no --egress-allow changes that",
	}
}

// deniedBy is about an explicit rule, which no allow rule outweighs.
func deniedBy(r *rule, subject string) *DeniedError {
	return &DeniedError{
		Rule: r.id, Subject: subject, Why: r.why, Source: r.source,
		Remedy: "the operator can change that rule of the policy file; no --egress-allow does",
	}
}
