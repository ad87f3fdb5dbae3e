package egress

import (
	"fmt"
	"net/netip"
	"strings"
)

// RuleError says which entry of a [Config], or of a list "to" in a file, cannot be
// used.
type RuleError struct {
	// Entry is the entry as it was given.
	Entry string
	// Why says what is wrong with it.
	Why string
	// Err is the error of a part of the entry, or nil.
	Err error
}

func (e *RuleError) Error() string {
	return fmt.Sprintf("egress rule %s: %s", quote(e.Entry), e.Why)
}

// Unwrap returns Err.
func (e *RuleError) Unwrap() error { return e.Err }

// pattern says what a rule is about: one entry of its list "to", or of
// --egress-allow. Exactly one of prefix, name and any is set.
type pattern struct {
	prefix netip.Prefix // of addresses
	name   string       // of names, in A-labels
	below  bool         // the names below name, not name itself
	any    bool         // every name and every address
	port   uint16       // 0: every port
}

func (p pattern) coversPort(port int) bool { return p.port == 0 || int(p.port) == port }

// covers reports whether the pattern is about a target of that name, "" for a
// literal, or about the address at, which is plain, or invalid before DNS.
func (p pattern) covers(name string, at netip.Addr) bool {
	switch {
	case p.any:
		return true
	case p.below:
		return strings.HasSuffix(name, "."+p.name)
	case p.name != "":
		return name == p.name
	}
	return p.prefix.Contains(at)
}

// grants returns what the pattern gives, in an allow rule that applies, to that
// name or address. Before DNS it is what some address could be given.
func (p pattern) grants(name string, at netip.Addr) grant {
	switch known := at.IsValid(); {
	case p.prefix.IsValid() && !known:
		if p.prefix.Overlaps(loopback4) || p.prefix.Overlaps(loopback6) {
			return byAddr | byLoopback
		}
		return byAddr
	case !p.covers(name, at):
		return 0
	case p.any, p.below:
		return listed
	case p.name != "":
		return byName
	case at.IsLoopback():
		return byAddr | byLoopback
	}
	return byAddr
}

var (
	loopback4 = netip.MustParsePrefix("127.0.0.0/8")
	loopback6 = netip.MustParsePrefix("::1/128")
)

// parseAny reads * and *:PORT, which only a policy file has.
func parseAny(entry string) (pattern, bool, error) {
	rest, ok := strings.CutPrefix(entry, "*")
	switch {
	case !ok, rest != "" && rest[0] != ':':
		return pattern{}, false, nil
	case rest == "":
		return pattern{any: true}, true, nil
	}
	port, err := parsePort(rest[1:])
	if err != nil {
		err = &RuleError{Entry: entry, Why: "the port is not a number from 1 to 65535", Err: err}
	}
	return pattern{any: true, port: port}, true, err
}

// parsePattern reads one of CIDR, HOST, HOST:PORT, IP, IP:PORT, [IPv6]:PORT,
// *.NAME and *.NAME:PORT.
func parsePattern(entry string) (pattern, error) {
	fail := func(why string, err error) (pattern, error) {
		return pattern{}, &RuleError{Entry: entry, Why: why, Err: err}
	}
	if strings.Contains(entry, "/") {
		prefix, err := netip.ParsePrefix(entry)
		if err != nil {
			return fail("it is not ADDRESS/BITS; a port cannot be given with a prefix", err)
		}
		if prefix != prefix.Masked() {
			// Refused rather than masked: 10.1.2.3/8 is as often a slip for /32.
			return fail("it has address bits beyond the prefix; write "+prefix.Masked().String()+" or a longer prefix", nil)
		}
		if prefix.Addr().Is4In6() {
			prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
		}
		return pattern{prefix: prefix}, nil
	}

	host, port := entry, uint16(0)
	bracketed := strings.HasPrefix(entry, "[")
	if bracketed && strings.HasSuffix(entry, "]") {
		return fail("an address without a port needs no brackets", nil)
	}
	_, err := netip.ParseAddr(entry)
	if isAddr := err == nil; !isAddr && strings.Contains(entry, ":") {
		i := strings.LastIndexByte(entry, ':')
		if port, err = parsePort(entry[i+1:]); err != nil {
			return fail("the port is not a number from 1 to 65535", err)
		}
		host = entry[:i]
		if bracketed {
			if !strings.HasSuffix(host, "]") {
				return fail("it is not [ADDRESS]:PORT", nil)
			}
			host = host[1 : len(host)-1]
		} else if strings.Contains(host, ":") {
			return fail("an IPv6 address with a port needs brackets: [ADDRESS]:PORT", nil)
		}
	}

	name, below := strings.CutPrefix(host, "*.")
	if host == "*" {
		return fail("it is not a rule about names; to allow every address write 0.0.0.0/0 and ::/0", nil)
	}
	t, err := ParseHost(name)
	switch {
	case err != nil:
		return fail("it is none of CIDR, HOST, HOST:PORT, IP, IP:PORT, [IPv6]:PORT, *.NAME", err)
	case bracketed && !strings.Contains(name, ":"):
		return fail("brackets are for IPv6 addresses", nil)
	case t.Name != "":
		return pattern{name: t.Name, below: below, port: port}, nil
	case below:
		return fail("an address has no names below it", nil)
	}
	return pattern{prefix: netip.PrefixFrom(t.Addr, t.Addr.BitLen()), port: port}, nil
}
