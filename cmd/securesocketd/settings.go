package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"securesocket/cmd/securesocketd/internal/config"
	"securesocket/server/listening"
	"securesocket/server/ruletext"
	"securesocket/session"
	"securesocket/session/flashpolicy"
)

// settings is what the operator chose, and what is made of it. An error of its methods begins with the flag, the
// variable or the line of the file that is to blame.
type settings struct{ *config.Config }

// blame makes a mistake of usage of an error about the setting at path.
func (s settings) blame(path string, err error) error {
	return usagef("%s: %w", s.Where(path), err)
}

// blameItem does so for one entry of a list, or for the one of a name of a mapping.
func (s settings) blameItem(path, entry string, err error) error {
	return usagef("%s: %w", s.WhereItem(path, entry), err)
}

// blameRules does so for each of the joined errors about the rules of a list.
func (s settings) blameRules(path string, err error) error {
	return eachError(err, func(err error) error {
		if re := new(ruletext.Error); errors.As(err, &re) {
			return s.blameItem(path, re.Entry, err)
		}
		return s.blame(path, err)
	})
}

// eachError makes something of each of some joined errors, and joins that.
func eachError(err error, f func(error) error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return f(err)
	}
	var errs []error
	for _, err := range joined.Unwrap() {
		errs = append(errs, eachError(err, f))
	}
	return errors.Join(errs...)
}

// flash is whose policy files are asked for; nil: nobody's.
func (s settings) flash() (*flashpolicy.Checker, error) {
	if s.Egress.FlashPolicy != "enforce" {
		return nil, nil
	}
	c, err := flashpolicy.New(flashpolicy.Config{Origin: s.Egress.FlashOrigin})
	if err != nil {
		return nil, s.blame("egress.flash_origin", err)
	}
	return c, nil
}

// sources is where what is dialled comes from. The machine has to have the addresses.
func (s settings) sources() (from session.Sources, err error) {
	for _, address := range s.Egress.SourceAddresses {
		a, err := netip.ParseAddr(address)
		if err != nil {
			return from, s.blameItem("egress.source_addresses", address, err)
		}
		// UDP: what is bound for a moment takes no connections.
		probe, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0)))
		if err != nil {
			return from, fmt.Errorf("%s: %s cannot be used: give it to this machine, or remove it: %w", s.WhereItem("egress.source_addresses", address), a, err)
		}
		_ = probe.Close()
		if a.Is4() {
			from.IPv4 = a
		} else {
			from.IPv6 = a
		}
	}
	return from, nil
}

// listening is where callers may listen.
func (s settings) listening() (*listening.Policy, error) {
	allow := s.ListenAllow
	if allow != nil && len(allow) == 0 {
		allow = []string{"none"}
	}
	p, err := listening.New(listening.Config{Allow: allow})
	if err != nil {
		return nil, s.blameRules("listen_allow", err)
	}
	return p, nil
}

// crlAge is how old a leaf's CRL may be, as the engine wants it: negative for as old as it says.
func (s settings) crlAge() time.Duration {
	if s.CRLMaxAge == 0 {
		return -1
	}
	return s.CRLMaxAge
}
