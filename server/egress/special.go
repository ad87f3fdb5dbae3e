package egress

import "net/netip"

// registry says where a block of the table comes from.
type registry string

const (
	ipv4Special registry = "IANA IPv4 Special-Purpose Address Registry"
	ipv6Special registry = "IANA IPv6 Special-Purpose Address Registry"
	ipv4Space   registry = "IANA IPv4 Address Space Registry"
	ipv6Space   registry = "IANA Internet Protocol Version 6 Address Space"
	clouds      registry = "documentation of the cloud's provider"
)

// block is a row of a registry. The id is part of [DeniedError.Rule]: it may
// be looked for by operators, and so does not change.
type block struct {
	prefix    netip.Prefix
	id        string
	reachable bool // the registry's "Globally Reachable" is True
	registry  registry
	rfc       string
}

func deny(prefix, id string, from registry, rfc string) block {
	return block{netip.MustParsePrefix(prefix), id, false, from, rfc}
}

func pass(prefix, id string, from registry, rfc string) block {
	return block{netip.MustParsePrefix(prefix), id, true, from, rfc}
}

// specialBlocks is every row of the two special-purpose registries (RFC 6890,
// RFC 8190), and what those do not list but nobody should be led to. The longest
// prefix that holds an address decides. "N/A" as Globally Reachable (6to4,
// Teredo, ORCHID, the old relay anycast) is not True.
var specialBlocks = []block{
	// IPv4.
	deny("0.0.0.0/8", "this-network", ipv4Special, "RFC 791"),
	deny("0.0.0.0/32", "this-host", ipv4Special, "RFC 1122"),
	deny("10.0.0.0/8", "private-use", ipv4Special, "RFC 1918"),
	deny("100.64.0.0/10", "shared-address-space", ipv4Special, "RFC 6598"),
	deny("127.0.0.0/8", "loopback", ipv4Special, "RFC 1122"),
	deny("169.254.0.0/16", "link-local", ipv4Special, "RFC 3927"),
	deny("172.16.0.0/12", "private-use", ipv4Special, "RFC 1918"),
	deny("192.0.0.0/24", "ietf-protocol-assignments", ipv4Special, "RFC 6890"),
	deny("192.0.0.0/29", "ipv4-service-continuity", ipv4Special, "RFC 7335"),
	deny("192.0.0.8/32", "ipv4-dummy-address", ipv4Special, "RFC 7600"),
	pass("192.0.0.9/32", "port-control-protocol-anycast", ipv4Special, "RFC 7723"),
	pass("192.0.0.10/32", "turn-anycast", ipv4Special, "RFC 8155"),
	deny("192.0.0.170/32", "nat64-dns64-discovery", ipv4Special, "RFC 8880"),
	deny("192.0.0.171/32", "nat64-dns64-discovery", ipv4Special, "RFC 8880"),
	deny("192.0.2.0/24", "documentation", ipv4Special, "RFC 5737"),
	pass("192.31.196.0/24", "as112", ipv4Special, "RFC 7535"),
	pass("192.52.193.0/24", "amt", ipv4Special, "RFC 7450"),
	deny("192.88.99.0/24", "6to4-relay-anycast", ipv4Special, "RFC 7526"),
	deny("192.88.99.2/32", "6a44-relay-anycast", ipv4Special, "RFC 6751"),
	deny("192.168.0.0/16", "private-use", ipv4Special, "RFC 1918"),
	pass("192.175.48.0/24", "as112-direct", ipv4Special, "RFC 7534"),
	deny("198.18.0.0/15", "benchmarking", ipv4Special, "RFC 2544"),
	deny("198.51.100.0/24", "documentation", ipv4Special, "RFC 5737"),
	deny("203.0.113.0/24", "documentation", ipv4Special, "RFC 5737"),
	deny("224.0.0.0/4", "multicast", ipv4Space, "RFC 5771"),
	deny("240.0.0.0/4", "reserved", ipv4Special, "RFC 1112"),
	deny("255.255.255.255/32", "limited-broadcast", ipv4Special, "RFC 8190"),

	// IPv6. The IPv4-mapped block ::ffff:0:0/96 is not here: such an address
	// is the IPv4 address to every socket, and is judged as that.
	deny("::/128", "unspecified", ipv6Special, "RFC 4291"),
	deny("::1/128", "loopback", ipv6Special, "RFC 4291"),
	deny("::/96", "ipv4-compatible", ipv6Space, "RFC 4291, section 2.5.5.1"),
	deny("::ffff:0:0:0/96", "ipv4-translated", ipv6Space, "RFC 2765"),
	pass("64:ff9b::/96", "nat64", ipv6Special, "RFC 6052"),
	deny("64:ff9b:1::/48", "local-nat64", ipv6Special, "RFC 8215"),
	deny("100::/64", "discard-only", ipv6Special, "RFC 6666"),
	deny("100:0:0:1::/64", "dummy-prefix", ipv6Special, "RFC 9780"),
	deny("2001::/23", "ietf-protocol-assignments", ipv6Special, "RFC 2928"),
	deny("2001::/32", "teredo", ipv6Special, "RFC 4380"),
	pass("2001:1::1/128", "port-control-protocol-anycast", ipv6Special, "RFC 7723"),
	pass("2001:1::2/128", "turn-anycast", ipv6Special, "RFC 8155"),
	pass("2001:1::3/128", "dns-sd-srp-anycast", ipv6Special, "RFC 9665"),
	deny("2001:2::/48", "benchmarking", ipv6Special, "RFC 5180"),
	pass("2001:3::/32", "amt", ipv6Special, "RFC 7450"),
	pass("2001:4:112::/48", "as112", ipv6Special, "RFC 7535"),
	deny("2001:10::/28", "orchid", ipv6Special, "RFC 4843"),
	pass("2001:20::/28", "orchidv2", ipv6Special, "RFC 7343"),
	pass("2001:30::/28", "drone-remote-id", ipv6Special, "RFC 9374"),
	deny("2001:db8::/32", "documentation", ipv6Special, "RFC 3849"),
	deny("2002::/16", "6to4", ipv6Special, "RFC 3056"),
	pass("2620:4f:8000::/48", "as112-direct", ipv6Special, "RFC 7534"),
	deny("3fff::/20", "documentation", ipv6Special, "RFC 9637"),
	deny("5f00::/16", "srv6-sids", ipv6Special, "RFC 9602"),
	deny("fc00::/7", "unique-local", ipv6Special, "RFC 4193"),
	deny("fe80::/10", "link-local", ipv6Special, "RFC 4291"),
	deny("fec0::/10", "site-local", ipv6Space, "RFC 3879"),
	deny("ff00::/8", "multicast", ipv6Space, "RFC 4291, section 2.7"),

	// Metadata services whose addresses the blocks above do not name as such,
	// or do not hold. (169.254.169.254 is link-local, and denied as that.)
	deny("168.63.129.16/32", "cloud-metadata", clouds, "Azure"),
	deny("100.100.100.200/32", "cloud-metadata", clouds, "Alibaba Cloud"),
	deny("192.0.0.192/32", "cloud-metadata", clouds, "Oracle Cloud"),
	deny("fd00:ec2::254/128", "cloud-metadata", clouds, "AWS"),
}

// globalUnicast is the only part of IPv6 from which addresses are assigned (IANA
// Internet Protocol Version 6 Address Space).
var globalUnicast = netip.MustParsePrefix("2000::/3")

// unallocated is the id of IPv6 addresses that are in no block and in no space
// that IANA assigns from.
const unallocated = "unallocated"

// specialID returns the id of the class for which addr, which is unmapped, is
// not globally reachable, or "".
func specialID(addr netip.Addr) string {
	var best block
	for _, b := range specialBlocks {
		// A prefix of /0 is not in the table, so bits 0 means none found.
		if b.prefix.Contains(addr) && b.prefix.Bits() > best.prefix.Bits() {
			best = b
		}
	}
	switch {
	case best.id != "" && best.reachable:
		return ""
	case best.id != "":
		return best.id
	case addr.Is6() && !globalUnicast.Contains(addr):
		return unallocated
	}
	return ""
}
