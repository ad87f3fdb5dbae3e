// Package ruletext reads what the operator's rules about addresses have in common:
// prefixes, ports, and addresses or names with a port. What a rule means is up to
// those who have it.
package ruletext

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Error says which entry of a list of rules cannot be used.
type Error struct {
	// Of is what the rules are about: egress, listening.
	Of string
	// Entry is the entry as it was given.
	Entry string
	// Why says what is wrong with it.
	Why string
	// Err is the error of a part of the entry, or nil.
	Err error
}

func (e *Error) Error() string { return fmt.Sprintf("%s rule %s: %s", e.Of, Quote(e.Entry), e.Why) }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Entry is one that is being read.
type Entry struct{ Of, Text string }

// Fail returns an *Error.
func (e Entry) Fail(why string, err error) error {
	return &Error{Of: e.Of, Entry: e.Text, Why: why, Err: err}
}

// Prefix reads CIDR, or returns false if the entry has no slash. An IPv4-mapped
// prefix is the IPv4 prefix that it is.
func (e Entry) Prefix() (p netip.Prefix, ok bool, err error) {
	if !strings.Contains(e.Text, "/") {
		return netip.Prefix{}, false, nil
	}
	p, err = netip.ParsePrefix(e.Text)
	if err != nil && strings.Contains(e.Text, "://") {
		return netip.Prefix{}, true, e.Fail("it is a URL; write its HOST or HOST:PORT alone", err)
	}
	if err != nil {
		return netip.Prefix{}, true, e.Fail("it is not ADDRESS/BITS; a port cannot be given with a prefix", err)
	}
	if p != p.Masked() {
		// Refused rather than masked: 10.1.2.3/8 is as often a slip for /32.
		return netip.Prefix{}, true, e.Fail("it has address bits beyond the prefix; write "+p.Masked().String()+" or a longer prefix", nil)
	}
	if p.Addr().Is4In6() {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p, true, nil
}

// Split returns HOST and PORTS of HOST, HOST:PORTS and [IPv6]:PORTS, without
// having looked at either. Without a port ports is empty.
func (e Entry) Split() (host, ports string, bracketed bool, err error) {
	bracketed = strings.HasPrefix(e.Text, "[")
	if bracketed && strings.HasSuffix(e.Text, "]") {
		return "", "", false, e.Fail("an address without a port needs no brackets", nil)
	}
	if _, err := netip.ParseAddr(e.Text); err == nil || !strings.Contains(e.Text, ":") {
		return e.Text, "", bracketed, nil
	}
	i := strings.LastIndexByte(e.Text, ':')
	host, ports = e.Text[:i], e.Text[i+1:]
	switch {
	case ports == "":
		err = e.Fail("there is no port behind the colon", nil)
	case bracketed && !strings.HasSuffix(host, "]"):
		err = e.Fail("it is not [ADDRESS]:PORT", nil)
	case bracketed:
		host = host[1 : len(host)-1]
	case strings.Contains(host, ":"):
		err = e.Fail("an IPv6 address with a port needs brackets: [ADDRESS]:PORT", nil)
	}
	return host, ports, bracketed, err
}

// Ports are those from First to Last, both included. The zero value has port 0
// alone, which nobody has.
type Ports struct{ First, Last uint16 }

// Contains reports whether port is one of them.
func (p Ports) Contains(port int) bool { return int(p.First) <= port && port <= int(p.Last) }

// ParsePorts reads PORT or FIRST-LAST.
func ParsePorts(s string) (p Ports, err error) {
	first, last, isRange := strings.Cut(s, "-")
	if p.First, err = ParsePort(first); err != nil || !isRange {
		return Ports{p.First, p.First}, err
	}
	if p.Last, err = ParsePort(last); err == nil && p.Last < p.First {
		err = fmt.Errorf("%d comes before %d", p.Last, p.First)
	}
	return p, err
}

// ParsePort reads a port from 1 to 65535 as people write it: no sign, no leading
// zero.
func ParsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err == nil && s[0] == '0' {
		err = strconv.ErrRange
	}
	return uint16(n), err
}

// Quote makes untrusted text fit for a line of log: escaped, and cut.
func Quote(s string) string {
	const most = 256
	if len(s) > most {
		return strconv.QuoteToASCII(s[:most]) + "..."
	}
	return strconv.QuoteToASCII(s)
}
