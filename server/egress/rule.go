package egress

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// RuleError says which entry of a [Config] cannot be used.
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

// rule is one entry of the allow list.
type rule struct {
	prefix netip.Prefix // of addresses; unset in a rule about names
	name   string       // of names, in A-labels; "" in a rule about addresses
	below  bool         // the names below name, not name itself
	port   uint16       // 0: every port
}

func (r rule) allowsPort(port int) bool { return r.port == 0 || int(r.port) == port }

func (r rule) allowsName(name string, port int) bool {
	if r.name == "" || !r.allowsPort(port) {
		return false
	}
	if r.below {
		return strings.HasSuffix(name, "."+r.name)
	}
	return name == r.name
}

func (r rule) allowsAddr(addr netip.Addr, port uint16) bool {
	return r.prefix.IsValid() && r.prefix.Contains(addr) && r.allowsPort(int(port))
}

// parseRule reads one of CIDR, HOST, HOST:PORT, IP, IP:PORT, [IPv6]:PORT,
// *.NAME and *.NAME:PORT.
func parseRule(entry string) (rule, error) {
	fail := func(why string, err error) (rule, error) {
		return rule{}, &RuleError{Entry: entry, Why: why, Err: err}
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
		return rule{prefix: prefix}, nil
	}

	host, port := entry, uint16(0)
	bracketed := strings.HasPrefix(entry, "[")
	if bracketed && strings.HasSuffix(entry, "]") {
		return fail("an address without a port needs no brackets", nil)
	}
	_, err := netip.ParseAddr(entry)
	if isAddr := err == nil; !isAddr && strings.Contains(entry, ":") {
		i := strings.LastIndexByte(entry, ':')
		p, err := strconv.ParseUint(entry[i+1:], 10, 16)
		if err != nil || p == 0 || entry[i+1] == '0' {
			return fail("the port is not a number from 1 to 65535", err)
		}
		host, port = entry[:i], uint16(p)
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
		return rule{name: t.Name, below: below, port: port}, nil
	case below:
		return fail("an address has no names below it", nil)
	}
	return rule{prefix: netip.PrefixFrom(t.Addr, t.Addr.BitLen()), port: port}, nil
}
