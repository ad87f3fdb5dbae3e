package egress

import (
	"net"
	"net/netip"
	"strconv"
)

// outcome is what the rules say of one target before DNS, or of one address.
type outcome struct {
	denied *DeniedError // nil: not denied
	would  *DeniedError // in mode report, what enforce would have denied first
}

// deny adds d, unless something before it has decided.
func (o *outcome) deny(d *DeniedError) {
	if o.denied == nil {
		o.denied = d
	}
}

const smtp = 25

// judge asks the rules in their order. Both stages go through it: before DNS,
// outer is invalid, and allow rules give what some address could be given, so that
// what is denied then is denied for every address. An address is judged together
// with every IPv4 address inside it. Who explains has each step recorded in rec.
func (p *Policy) judge(q question, outer netip.Addr, rec *recorder) outcome {
	o := p.decide(q, outer, rec)
	for _, d := range []*DeniedError{o.denied, o.would} {
		if d != nil {
			d.Revision = p.Revision()
		}
	}
	return o
}

func (p *Policy) decide(q question, outer netip.Addr, rec *recorder) (o outcome) {
	at := append([]netip.Addr{outer}, embedded(outer)...)
	subject := func(a netip.Addr) string { return q.subject(a, outer) }
	explicit := o.deny // what mode report only reports
	if p.mode == ModeReport {
		explicit = func(d *DeniedError) {
			if o.would == nil {
				o.would = d
			}
		}
	}

	var byRule *rule
	var where netip.Addr
	if rec == nil {
		byRule, where = p.deny.denying(q, at)
	} else {
		byRule, where = rec.denying(&p.deny, q, at, subject)
	}
	if byRule != nil {
		explicit(deniedBy(byRule, subject(where)))
		if o.denied != nil {
			return o
		}
	}

	if outer.IsValid() {
		for _, a := range at {
			own := p.own.contains(a, uint16(q.port)) // with an address, the port is an AddrPort's
			rec.builtin(RuleOwnAddress, subject(a), own, false)
			if own {
				o.deny(deniedOwn(subject(a)))
				return o
			}
		}
	}

	var grants [4]grant // embedded returns three at most
	all := frees | byLoopback | listed
	for i, a := range at {
		if rec == nil {
			grants[i] = p.allow.granting(q, a)
		} else {
			grants[i] = rec.granting(&p.allow, q, a, subject(a))
		}
		all &= grants[i]
	}

	// A name's own rule frees the name, but not an address inside an address for
	// which its condition does not hold.
	if q.name != "" {
		name := net.JoinHostPort(q.name, strconv.Itoa(q.port))
		for _, c := range []struct {
			class    string
			is, free bool
		}{
			{"metadata-name", isMetadataName(q.name), false},
			// A resolver that leads localhost elsewhere is lying (RFC 6761).
			{"localhost", isLocalhost(q.name), grants[0]&byLoopback != 0},
		} {
			freed := all&byName != 0 || c.free
			rec.builtin(RuleSpecialPurpose+"/"+c.class, name, c.is, freed)
			if c.is && !freed {
				o.deny(denied(RuleSpecialPurpose+"/"+c.class, name, name))
				return o
			}
		}
	}

	for i, a := range at {
		freed := grants[i]&frees != 0
		class := builtin(a, q.port)
		rec.classes(class, subject(a), a, freed)
		if class != "" && !freed {
			allow := subject(a)
			if a.IsValid() {
				allow = netip.AddrPortFrom(a, uint16(q.port)).String() // as above
			}
			o.deny(denied(class, subject(a), allow))
			return o
		}
	}

	if p.hasAllowList {
		out := grants[0] == 0
		rec.builtin(RuleNotInAllowList, subject(outer), out, false)
		if out {
			explicit(denied(RuleNotInAllowList, subject(outer), subject(outer)))
			if o.denied != nil {
				return o
			}
		}
	}
	rec.passed(subject(outer), outer, grants[0])
	return o
}

// builtin returns the rule of the built-in classes that denies addr and port, or
// "". Before DNS, addr is invalid.
func builtin(addr netip.Addr, port int) string {
	if addr.IsValid() {
		if id := specialID(addr); id != "" {
			return RuleSpecialPurpose + "/" + id
		}
	}
	if port == smtp {
		return RulePort25
	}
	return ""
}

// subject writes a, which is outer or inside it; before DNS, the name.
func (q question) subject(a, outer netip.Addr) string {
	if !a.IsValid() {
		return net.JoinHostPort(q.name, strconv.Itoa(q.port))
	}
	port := uint16(q.port) // with an address, the port is an AddrPort's
	s := netip.AddrPortFrom(a, port).String()
	if a != outer {
		s += " inside " + netip.AddrPortFrom(outer, port).String()
	}
	return s
}
