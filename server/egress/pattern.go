package egress

import (
	"net/netip"
	"strings"

	"securesocket/server/ruletext"
)

// RuleError says which entry of a [Config], or of a list "to" in a file, cannot be
// used.
type RuleError = ruletext.Error

// entryOf is an entry of a list of rules.
func entryOf(text string) ruletext.Entry { return ruletext.Entry{Of: "egress", Text: text} }

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
	port, err := ruletext.ParsePort(rest[1:])
	if err != nil {
		err = entryOf(entry).Fail("the port is not a number from 1 to 65535", err)
	}
	return pattern{any: true, port: port}, true, err
}

// parsePattern reads one of CIDR, HOST, HOST:PORT, IP, IP:PORT, [IPv6]:PORT,
// *.NAME and *.NAME:PORT.
func parsePattern(text string) (pattern, error) {
	entry := entryOf(text)
	fail := func(why string, err error) (pattern, error) { return pattern{}, entry.Fail(why, err) }
	if prefix, ok, err := entry.Prefix(); ok {
		return pattern{prefix: prefix}, err
	}
	host, digits, bracketed, err := entry.Split()
	if err != nil {
		return pattern{}, err
	}
	var port uint16
	if digits != "" {
		if port, err = ruletext.ParsePort(digits); err != nil {
			return fail("the port is not a number from 1 to 65535", err)
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
