package listening

import (
	"net/netip"

	"securesocket/server/ruletext"
)

// RuleError says which entry of a [Config] cannot be used.
type RuleError = ruletext.Error

// allowed is one entry of the allow list.
type allowed struct {
	prefix netip.Prefix // an address alone is a prefix of all its bits
	ports  ruletext.Ports
}

// covers reports whether the rule is about addr, which is unmapped and has no zone.
func (r allowed) covers(addr netip.Addr) bool {
	if r.prefix.IsSingleIP() && r.prefix.Addr().IsUnspecified() {
		return r.prefix.Addr().BitLen() == addr.BitLen()
	}
	return r.prefix.Contains(addr) && !addr.IsUnspecified()
}

// parseRule reads one of ADDRESS, ADDRESS:PORT, ADDRESS:FIRST-LAST, the same with
// [IPv6] before the colon, and CIDR.
func parseRule(text string) (allowed, error) {
	entry := ruletext.Entry{Of: "listening", Text: text}
	fail := func(why string, err error) (allowed, error) { return allowed{}, entry.Fail(why, err) }
	if prefix, ok, err := entry.Prefix(); ok {
		return allowed{prefix, everyPort}, err
	}
	host, digits, bracketed, err := entry.Split()
	if err != nil {
		return allowed{}, err
	}
	ports := everyPort
	if digits != "" {
		if ports, err = ruletext.ParsePorts(digits); err != nil {
			return fail("its end is neither a port from 1 to 65535 nor FIRST-LAST", err)
		}
	}
	addr, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return fail("it is none of ADDRESS, ADDRESS:PORT, ADDRESS:FIRST-LAST, [IPv6]:PORT, CIDR and, alone, none", err)
	case addr.Zone() != "":
		return fail("an address with a zone is not accepted; leave out the % and what follows", nil)
	case bracketed && addr.Is4():
		return fail("brackets are for IPv6 addresses", nil)
	}
	addr = addr.Unmap()
	return allowed{netip.PrefixFrom(addr, addr.BitLen()), ports}, nil
}
