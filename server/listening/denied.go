package listening

import "fmt"

// The rules of a [DeniedError]. The strings are stable: callers and dashboards
// may compare with them.
const (
	// RuleNone: the operator lets nobody listen.
	RuleNone = "none"
	// RuleLoopbackOnly: the operator has said nothing, so it is loopback addresses alone.
	RuleLoopbackOnly = "loopback-only"
	// RuleNotInAllowList: no rule of the operator's covers the address and port.
	RuleNotInAllowList = "not-in-allow-list"
	// RuleLowPort: a port below 1024 of a loopback address needs a rule, and there is none: other
	// programs of the machine believe that who has one is the system.
	RuleLowPort = "low-port"
	// RuleMulticast: nobody listens at a group's address, whatever the rules say.
	RuleMulticast = "multicast"
	// RuleUnspecified: 0.0.0.0 and :: need a rule that names them, and there is none.
	RuleUnspecified = "unspecified-address"
	// RuleZone: an address with a zone is not judged.
	RuleZone = "zone"
	// RuleInvalidAddress: there is no address to judge.
	RuleInvalidAddress = "invalid-address"
)

// DeniedError says that the policy does not let callers listen somewhere.
type DeniedError struct {
	// Rule is the stable short name of the rule that decided.
	Rule string
	// Subject is what was judged: an address with its port, of which 0 means any.
	Subject string
	// Remedy is what would have to change; never empty.
	Remedy string
}

func (e *DeniedError) Error() string {
	return fmt.Sprintf("listening at %s denied by rule %s; %s", e.Subject, e.Rule, e.Remedy)
}

// denied suggests allowing exactly what was refused, and no more.
func denied(rule, subject, allow string) *DeniedError {
	return &DeniedError{Rule: rule, Subject: subject, Remedy: "the operator can allow it with --listen-allow " + allow}
}
