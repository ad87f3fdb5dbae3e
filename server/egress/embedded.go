package egress

import (
	"encoding/binary"
	"net/netip"
)

var (
	compatible = netip.MustParsePrefix("::/96")           // RFC 4291 section 2.5.5.1
	translated = netip.MustParsePrefix("::ffff:0:0:0/96") // SIIT, RFC 2765 section 2.1
	nat64      = netip.MustParsePrefix("64:ff9b::/96")    // RFC 6052 section 2.1
	localNAT64 = netip.MustParsePrefix("64:ff9b:1::/48")  // RFC 8215
	sixToFour  = netip.MustParsePrefix("2002::/16")       // RFC 3056 section 2
	teredo     = netip.MustParsePrefix("2001::/32")       // RFC 4380 section 4
)

// embedded returns the IPv4 addresses to which a packet for the IPv6 address
// addr may be carried by a translator or out of a tunnel. Where an address can
// be read in two ways it returns both readings. addr is unmapped: IPv4-mapped
// addresses are no embedding, they are the same socket address.
func embedded(addr netip.Addr) []netip.Addr {
	if !addr.Is6() {
		return nil
	}
	b := addr.As16()
	at := func(i int) netip.Addr { return netip.AddrFrom4([4]byte(b[i : i+4])) }
	var inner []netip.Addr

	switch {
	case compatible.Contains(addr):
		// :: and ::1 were given away before the rest of the block was (RFC 4291
		// sections 2.5.2 and 2.5.3): they are not 0.0.0.0 and 0.0.0.1.
		if addr != netip.IPv6Unspecified() && addr != netip.IPv6Loopback() {
			inner = append(inner, at(12))
		}
	case translated.Contains(addr), nat64.Contains(addr):
		inner = append(inner, at(12))
	case localNAT64.Contains(addr):
		inner = append(inner, localNAT64Inner(b)...)
	case sixToFour.Contains(addr):
		inner = append(inner, at(2))
	case teredo.Contains(addr):
		server := at(4)
		client := binary.BigEndian.Uint32(b[12:]) ^ 0xffffffff // obfuscated, section 4
		inner = append(inner, server, netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, client))))
	}

	// ISATAP lives in the interface identifier (RFC 5214 section 6.1), whatever the
	// prefix; 02 marks an IPv4 address that claims to be globally unique.
	if (b[8] == 0 || b[8] == 2) && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe {
		inner = append(inner, at(12))
	}
	return inner
}

// localNAT64Inner reads an address of 64:ff9b:1::/48 both with that prefix (RFC
// 6052 section 2.2: around the octet 64 to 71) and with a /96 inside of it. Each
// layout leaves zeros where the other has its address, so 0.0.0.0 counts only
// when it is all there is.
func localNAT64Inner(b [16]byte) []netip.Addr {
	by48 := netip.AddrFrom4([4]byte{b[6], b[7], b[9], b[10]})
	by96 := netip.AddrFrom4([4]byte(b[12:16]))
	switch zero := netip.IPv4Unspecified(); {
	case by48 == by96, by96 == zero:
		return []netip.Addr{by48}
	case by48 == zero:
		return []netip.Addr{by96}
	}
	return []netip.Addr{by48, by96}
}
