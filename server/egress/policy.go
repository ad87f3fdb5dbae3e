package egress

import (
	"errors"
	"net"
	"net/netip"
)

// Config is what an operator decides. The zero value leaves the built-in
// rules alone.
type Config struct {
	// File is the policy file, or nil.
	File *File

	// Allow lists what is allowed explicitly, to every caller, before the built-in
	// rules are asked, and after the allow rules of File. An entry is one of
	//
	//	10.0.0.0/8          addresses of the prefix, every port
	//	10.0.0.1            one address, every port
	//	10.0.0.1:443        one address, one port
	//	2001:db8::1         the same for IPv6
	//	[2001:db8::1]:443
	//	example.com         a name, whatever it resolves to, every port
	//	example.com:443
	//	*.example.com       every name below it, but not example.com itself, where
	//	*.example.com:443   it leads to public addresses
	//
	// Who may make names below one must not reach the operator's network by them:
	// a rule with * does not free from the built-in rules.
	//
	// An entry about addresses also allows the names that resolve to them. An
	// IPv6 prefix does not hold IPv4 addresses in their IPv4-mapped spelling.
	// "Every port" includes port 25.
	Allow []string

	// AllowSources says of each entry of Allow, by its place, where it is written, for
	// [Step.Source]. One that is missing or empty is of the flag --egress-allow.
	AllowSources []string

	// HasAllowList says that Allow is an allow list: what neither it nor File's
	// allows is denied, so that an empty one denies everything. When false, Allow
	// only adds to what is let through. A File with the key "allow" has an allow
	// list in any case.
	HasAllowList bool

	// Own lists the service's own listening addresses, which are never dialled. An
	// unspecified address means its port on every address of this host, and so
	// does a loopback address. Each needs a port other than 0.
	Own []netip.AddrPort

	// Report is told in mode report what would have been denied: the address in at
	// is invalid before DNS, and its port 0 where the port is none. It is called by
	// the goroutine that asks, and so several times for one target, and must be fit
	// to run at once with itself. Nil: nobody is told.
	Report func(caller string, t Target, at netip.AddrPort, d *DeniedError)
}

// Policy is an immutable snapshot of what may be dialled. The zero value has the
// built-in rules only, and knows no own address. Its methods may run at once.
type Policy struct {
	own          ownAddrs
	deny, allow  ruleSet
	hasAllowList bool
	mode         Mode // "" is enforce
	firstAllowed bool
	report       func(string, Target, netip.AddrPort, *DeniedError)
	revision     string
}

// New makes a Policy, or returns a [*RuleError] for each entry that it cannot
// use, joined. It reads the addresses of the local interfaces when cfg.Own needs them.
func New(cfg Config) (*Policy, error) {
	return newPolicy(cfg, net.InterfaceAddrs)
}

func newPolicy(cfg Config, interfaceAddrs func() ([]net.Addr, error)) (*Policy, error) {
	p := &Policy{hasAllowList: cfg.HasAllowList, report: cfg.Report}
	var allow []*rule
	if f := cfg.File; f != nil {
		p.mode, p.firstAllowed = f.mode, f.firstAllowed
		p.hasAllowList = p.hasAllowList || f.hasAllowList
		p.deny = newRuleSet(f.deny)
		allow = append(allow, f.allow...)
	}
	var errs []error
	for i, entry := range cfg.Allow {
		to, err := parsePattern(entry)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		allow = append(allow, listRule(i, entry, to, cfg.AllowSources))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	p.allow = newRuleSet(allow)
	own, err := newOwnAddrs(cfg.Own, interfaceAddrs)
	if err != nil {
		return nil, err
	}
	p.own = own
	p.revision = revision(cfg, own)
	return p, nil
}

// Silent returns the same policy without [Config.Report].
func (p *Policy) Silent() *Policy {
	silent := *p
	silent.report = nil
	return &silent
}

// Mode returns whether the explicit rules are enforced.
func (p *Policy) Mode() Mode {
	if p.mode == "" {
		return ModeEnforce
	}
	return p.mode
}

// FirstAllowed reports whether a name with allowed and denied addresses may be
// dialled at those that are allowed (mixed_answers: first_allowed). When false, one
// denied address denies the name.
func (p *Policy) FirstAllowed() bool { return p.firstAllowed }

// CheckName is asked before DNS. It returns a [*DeniedError] only if every address
// that t could have would be denied as well, and nil does not mean that t is
// allowed. A target that is an address is judged as by [Policy.CheckAddr].
func (p *Policy) CheckName(caller string, t Target, port int) error {
	if t.Addr.IsValid() {
		if port < 1 || port > 65535 {
			return nil // no address to judge yet, and never one to dial
		}
		return p.CheckAddr(caller, t, netip.AddrPortFrom(t.Addr, uint16(port)))
	}
	at := netip.AddrPort{}
	if 0 < port && port <= 65535 {
		at = netip.AddrPortFrom(netip.Addr{}, uint16(port))
	}
	return p.answer(caller, t, at, p.judge(question{caller, t.Name, port}, netip.Addr{}, nil))
}

// CheckAddr judges an address that is about to be dialled for target t, which is
// the address itself or a name that resolved to it. It returns nil or a
// [*DeniedError].
func (p *Policy) CheckAddr(caller string, t Target, ap netip.AddrPort) error {
	if !ap.Addr().IsValid() {
		return &DeniedError{Rule: RuleInvalidAddress, Subject: t.String(), Remedy: "give an address", Revision: p.Revision()}
	}
	ap = netip.AddrPortFrom(plain(ap.Addr()), ap.Port())
	return p.answer(caller, t, ap, p.judge(question{caller, t.Name, int(ap.Port())}, ap.Addr(), nil))
}

func (p *Policy) answer(caller string, t Target, at netip.AddrPort, o outcome) error {
	if o.denied != nil {
		return o.denied
	}
	if o.would != nil && p.report != nil {
		p.report(caller, t, at, o.would)
	}
	return nil
}
