package listening

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
	return fmt.Sprintf("listening rule %s: %s", quote(e.Entry), e.Why)
}

// Unwrap returns Err.
func (e *RuleError) Unwrap() error { return e.Err }

// rule is one entry of the allow list.
type rule struct {
	prefix netip.Prefix // an address alone is a prefix of all its bits
	ports  PortRange
}

// covers reports whether the rule is about addr, which is unmapped and has no zone.
func (r rule) covers(addr netip.Addr) bool {
	if r.prefix.IsSingleIP() && r.prefix.Addr().IsUnspecified() {
		return r.prefix.Addr().BitLen() == addr.BitLen()
	}
	return r.prefix.Contains(addr) && !addr.IsUnspecified()
}

// parseRule reads one of ADDRESS, ADDRESS:PORT, ADDRESS:FIRST-LAST, the same with
// [IPv6] before the colon, and CIDR.
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
		return rule{prefix, everyPort}, nil
	}

	host, ports := entry, everyPort
	bracketed := strings.HasPrefix(entry, "[")
	if bracketed && strings.HasSuffix(entry, "]") {
		return fail("an address without a port needs no brackets", nil)
	}
	if _, err := netip.ParseAddr(entry); err != nil && strings.Contains(entry, ":") {
		i := strings.LastIndexByte(entry, ':')
		if ports, err = parsePorts(entry[i+1:]); err != nil {
			return fail("its end is neither a port from 1 to 65535 nor FIRST-LAST", err)
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
	return rule{netip.PrefixFrom(addr, addr.BitLen()), ports}, nil
}

// parsePorts reads PORT or FIRST-LAST.
func parsePorts(s string) (r PortRange, err error) {
	first, last, isRange := strings.Cut(s, "-")
	if r.First, err = parsePort(first); err != nil || !isRange {
		return PortRange{r.First, r.First}, err
	}
	if r.Last, err = parsePort(last); err == nil && r.Last < r.First {
		err = fmt.Errorf("%d comes before %d", r.Last, r.First)
	}
	return r, err
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err == nil && (n == 0 || s[0] == '0') {
		err = strconv.ErrRange
	}
	return uint16(n), err
}

// quote makes untrusted text fit for a line of log: escaped, and cut.
func quote(s string) string {
	const most = 256
	if len(s) > most {
		return strconv.QuoteToASCII(s[:most]) + "..."
	}
	return strconv.QuoteToASCII(s)
}
