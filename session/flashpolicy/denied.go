package flashpolicy

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// The rules of a [DeniedError]. The strings are stable: callers and dashboards may compare with them.
const (
	// RuleNone: no port that was asked has a policy file.
	RuleNone = "flash-policy/none"
	// RuleNotAllowed: there are files, and none of those that count grants the port to the origin.
	RuleNotAllowed = "flash-policy/not-allowed"
	// RuleMalformed: a file cannot be understood, so that nobody knows what it forbids.
	RuleMalformed = "flash-policy/malformed"
	// RuleMetaPolicy: the master file permits no files, itself included.
	RuleMetaPolicy = "flash-policy/meta-policy"
)

// DeniedError says that the server's policy files do not let the service connect.
type DeniedError struct {
	// Rule is one of the Rule constants.
	Rule string
	// Source is where the file came from that decided, as "example.com:843" or "example.com:443 over TLS". For RuleNone
	// it is all that was asked, with commas. The host is as Check had it.
	Source string
	// Why is what is wrong, in words of this package: nothing of the file itself.
	Why string
}

func (e *DeniedError) Error() string {
	return fmt.Sprintf("denied by rule %s: %s: %s", e.Rule, e.Source, e.Why)
}

func sources(host string, ports []int) string {
	all := make([]string, len(ports))
	for i, p := range ports {
		all[i] = net.JoinHostPort(host, strconv.Itoa(p))
	}
	return strings.Join(all, ", ")
}
