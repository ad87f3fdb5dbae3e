package egress

import (
	"net"
	"net/netip"
	"strconv"
)

// Config is what an operator decides. The zero value leaves the built-in
// rules alone.
type Config struct {
	// Allow lists what is allowed explicitly, before the built-in rules are asked.
	// An entry is one of
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

	// HasAllowList says that Allow is an allow list: what it does not allow is
	// denied, so that an empty one denies everything. When false, Allow only
	// adds to what the built-in rules let through.
	HasAllowList bool

	// Own lists the service's own listening addresses, which are never dialled. An
	// unspecified address means its port on every address of this host, and so
	// does a loopback address. Each needs a port other than 0.
	Own []netip.AddrPort
}

// Policy is an immutable snapshot of what may be dialled. The zero value has the
// built-in rules only, and knows no own address. Its methods may run at once.
type Policy struct {
	own          ownAddrs
	allow        []rule
	hasAllowList bool
}

// New makes a Policy, or returns a [*RuleError] for the first entry that it cannot
// use. It reads the addresses of the local interfaces when cfg.Own needs them.
func New(cfg Config) (*Policy, error) {
	return newPolicy(cfg, net.InterfaceAddrs)
}

func newPolicy(cfg Config, interfaceAddrs func() ([]net.Addr, error)) (*Policy, error) {
	p := &Policy{hasAllowList: cfg.HasAllowList}
	for _, entry := range cfg.Allow {
		r, err := parseRule(entry)
		if err != nil {
			return nil, err
		}
		p.allow = append(p.allow, r)
	}
	own, err := newOwnAddrs(cfg.Own, interfaceAddrs)
	if err != nil {
		return nil, err
	}
	p.own = own
	return p, nil
}

// CheckName is asked before DNS. It returns a [*DeniedError] only if every address
// that t could have would be denied as well, and nil does not mean that t is
// allowed. A target that is an address is judged as by [Policy.CheckAddr].
func (p *Policy) CheckName(t Target, port int) error {
	if t.Addr.IsValid() {
		if port < 1 || port > 65535 {
			return nil // no address to judge yet, and never one to dial
		}
		return p.CheckAddr(t, netip.AddrPortFrom(t.Addr, uint16(port)))
	}
	if p.nameAllowed(t.Name, port, false) {
		return nil
	}
	subject := net.JoinHostPort(t.Name, strconv.Itoa(port))
	anyAddr := p.someAddrAllowed(port)
	switch {
	case isMetadataName(t.Name):
		return denied(RuleSpecialPurpose+"/metadata-name", subject, subject)
	case isLocalhost(t.Name) && !p.someLoopbackAllowed(port):
		return denied(RuleSpecialPurpose+"/localhost", subject, subject)
	case port == smtp && !anyAddr:
		return denied(RulePort25, subject, subject)
	case p.hasAllowList && !anyAddr && !p.nameAllowed(t.Name, port, true):
		return denied(RuleNotInAllowList, subject, subject)
	}
	return nil
}

// CheckAddr judges an address that is about to be dialled for target t, which is
// the address itself or a name that resolved to it. It returns nil or a
// [*DeniedError].
func (p *Policy) CheckAddr(t Target, ap netip.AddrPort) error {
	if !ap.Addr().IsValid() {
		return &DeniedError{Rule: RuleInvalidAddress, Subject: t.String(), Remedy: "give an address"}
	}
	addr, port := plain(ap.Addr()), ap.Port()
	outer := netip.AddrPortFrom(addr, port).String()
	inner := embedded(addr)

	if p.own.contains(addr, port) {
		return deniedOwn(outer)
	}
	for _, in := range inner {
		if p.own.contains(in, port) {
			return deniedOwn(netip.AddrPortFrom(in, port).String() + " inside " + outer)
		}
	}

	if t.Name != "" {
		if p.nameAllowed(t.Name, int(port), false) {
			return nil
		}
		// Asked again here, so that a caller who forgot CheckName, or asked another
		// snapshot, is not let through.
		if isMetadataName(t.Name) {
			subject := net.JoinHostPort(t.Name, strconv.Itoa(int(port)))
			return denied(RuleSpecialPurpose+"/metadata-name", subject, subject)
		}
	}

	allowed := p.addrAllowed(addr, port)
	if isLocalhost(t.Name) && !(allowed && addr.IsLoopback()) {
		// A resolver that leads localhost elsewhere is lying (RFC 6761).
		subject := net.JoinHostPort(t.Name, strconv.Itoa(int(port)))
		return denied(RuleSpecialPurpose+"/localhost", subject, subject)
	}
	if rule := builtin(addr, port); rule != "" && !allowed {
		return denied(rule, outer, outer)
	}
	for _, in := range inner {
		if rule := builtin(in, port); rule != "" && !p.addrAllowed(in, port) {
			text := netip.AddrPortFrom(in, port).String()
			return denied(rule, text+" inside "+outer, text)
		}
	}
	if p.hasAllowList && !allowed && !(t.Name != "" && p.nameAllowed(t.Name, int(port), true)) {
		return denied(RuleNotInAllowList, outer, outer)
	}
	return nil
}

const smtp = 25

// builtin returns the rule of the built-in classes that denies addr and port, or "".
func builtin(addr netip.Addr, port uint16) string {
	if id := specialID(addr); id != "" {
		return RuleSpecialPurpose + "/" + id
	}
	if port == smtp {
		return RulePort25
	}
	return ""
}

func deniedOwn(subject string) error {
	return &DeniedError{
		Rule:    RuleOwnAddress,
		Subject: subject,
		Remedy:  "the service does not dial itself, and no --egress-allow changes that",
	}
}

// nameAllowed asks the rules about one name, or those about all names below one.
func (p *Policy) nameAllowed(name string, port int, below bool) bool {
	for _, r := range p.allow {
		if r.below == below && r.allowsName(name, port) {
			return true
		}
	}
	return false
}

func (p *Policy) addrAllowed(addr netip.Addr, port uint16) bool {
	for _, r := range p.allow {
		if r.allowsAddr(addr, port) {
			return true
		}
	}
	return false
}

// someAddrAllowed reports whether a name could resolve to an address that is
// explicitly allowed at port.
func (p *Policy) someAddrAllowed(port int) bool {
	for _, r := range p.allow {
		if r.prefix.IsValid() && r.allowsPort(port) {
			return true
		}
	}
	return false
}

// someLoopbackAllowed is someAddrAllowed for the addresses of localhost.
func (p *Policy) someLoopbackAllowed(port int) bool {
	for _, r := range p.allow {
		if r.prefix.IsValid() && r.allowsPort(port) && (r.prefix.Overlaps(loopback4) || r.prefix.Overlaps(loopback6)) {
			return true
		}
	}
	return false
}

var (
	loopback4 = netip.MustParsePrefix("127.0.0.0/8")
	loopback6 = netip.MustParsePrefix("::1/128")
)
