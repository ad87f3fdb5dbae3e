package listening

import (
	"errors"
	"net/netip"
	"slices"

	"securesocket/server/ruletext"
)

// Config is what an operator decides. The zero value allows loopback addresses
// alone, and of them the ports from 1024 on.
type Config struct {
	// Allow lists where callers may listen beside that. An entry is
	// one of
	//
	//	10.0.0.1                  one address, every port
	//	10.0.0.1:8443             one address, one port
	//	10.0.0.1:8000-8099        one address, the ports from the first to the last
	//	2001:db8::1               the same for IPv6
	//	[2001:db8::1]:8443
	//	[2001:db8::1]:8000-8099
	//	10.0.0.0/8                each address of the prefix, every port
	//	0.0.0.0, 0.0.0.0:8443     every IPv4 address, one or all at once
	//	::, [::]:8443             every IPv6 address, one or all at once
	//	none                      alone: nobody listens, at no address
	//
	// An IPv6 prefix does not hold IPv4 addresses in their IPv4-mapped spelling.
	Allow []string
}

// Policy is an immutable snapshot of where callers may listen. The zero value
// allows what that of [Config] does. Its methods may run at once.
type Policy struct {
	nobody bool
	allow  []allowed
}

// none is the entry that stands alone.
const none = "none"

// New makes a Policy, or returns a [*RuleError] for each entry that it cannot
// use, joined.
func New(cfg Config) (*Policy, error) {
	p := &Policy{}
	var errs []error
	for _, entry := range cfg.Allow {
		if entry == none {
			if len(cfg.Allow) > 1 && !p.nobody {
				errs = append(errs, &RuleError{Of: "listening", Entry: entry, Why: "it stands alone: what else is allowed contradicts it"})
			}
			p.nobody = true
			continue
		}
		r, err := parseRule(entry)
		if err != nil {
			errs = append(errs, err)
		}
		p.allow = append(p.allow, r)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return p, nil
}

// Check judges an address at which a caller wants to listen. Port 0 asks whether
// any port is allowed there; [Policy.Ports] says which. An IPv4-mapped IPv6
// address is the IPv4 address that it is. It returns nil or a [*DeniedError].
func (p *Policy) Check(at netip.AddrPort) error {
	subject := at.String()
	switch addr := at.Addr(); {
	case !addr.IsValid():
		return &DeniedError{Rule: RuleInvalidAddress, Subject: subject, Remedy: "give an address"}
	case addr.Zone() != "":
		return &DeniedError{Rule: RuleZone, Subject: ruletext.Quote(subject), Remedy: "leave out the % and what follows"}
	}
	at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	ranges := p.Ports(at.Addr())
	if at.Port() == 0 && len(ranges) > 0 || slices.ContainsFunc(ranges, func(r ruletext.Ports) bool { return r.Contains(int(at.Port())) }) {
		return nil
	}
	subject = at.String()
	allow := subject
	if at.Port() == 0 {
		allow = at.Addr().String()
	}
	switch {
	case at.Addr().IsMulticast():
		return &DeniedError{Rule: RuleMulticast, Subject: subject, Remedy: "give an address of the service's machine"}
	case p.nobody:
		return &DeniedError{Rule: RuleNone, Subject: subject, Remedy: "the operator lets nobody listen (--listen-allow none)"}
	case at.Addr().IsUnspecified() && len(ranges) == 0:
		return denied(RuleUnspecified, subject, allow)
	case at.Addr().IsLoopback():
		return denied(RuleLowPort, subject, allow)
	case len(p.allow) == 0:
		return denied(RuleLoopbackOnly, subject, allow)
	}
	return denied(RuleNotInAllowList, subject, allow)
}

// Ports returns the ports at which callers may listen at addr, sorted, apart from
// each other and newly made. It is empty where nothing is allowed, as for an
// address that is invalid or has a zone.
func (p *Policy) Ports(addr netip.Addr) []ruletext.Ports {
	if p.nobody || !addr.IsValid() || addr.Zone() != "" {
		return nil
	}
	addr = addr.Unmap()
	if addr.IsMulticast() {
		return nil
	}
	var all []ruletext.Ports
	if addr.IsLoopback() {
		all = append(all, unprivileged)
	}
	for _, r := range p.allow {
		if r.covers(addr) {
			all = append(all, r.ports)
		}
	}
	return merge(all)
}
