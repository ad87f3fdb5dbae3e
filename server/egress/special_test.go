package egress

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// blocksInTest repeats the registries so that a row that is lost or altered in
// special.go fails here: prefix, id, and "pass" for what is globally reachable.
const blocksInTest = `
0.0.0.0/8 this-network
0.0.0.0/32 this-host
10.0.0.0/8 private-use
100.64.0.0/10 shared-address-space
127.0.0.0/8 loopback
169.254.0.0/16 link-local
172.16.0.0/12 private-use
192.0.0.0/24 ietf-protocol-assignments
192.0.0.0/29 ipv4-service-continuity
192.0.0.8/32 ipv4-dummy-address
192.0.0.9/32 pass
192.0.0.10/32 pass
192.0.0.170/32 nat64-dns64-discovery
192.0.0.171/32 nat64-dns64-discovery
192.0.2.0/24 documentation
192.31.196.0/24 pass
192.52.193.0/24 pass
192.88.99.0/24 6to4-relay-anycast
192.88.99.2/32 6a44-relay-anycast
192.168.0.0/16 private-use
192.175.48.0/24 pass
198.18.0.0/15 benchmarking
198.51.100.0/24 documentation
203.0.113.0/24 documentation
224.0.0.0/4 multicast
240.0.0.0/4 reserved
255.255.255.255/32 limited-broadcast
::/0 unallocated
2000::/3 pass
::/128 unspecified
::1/128 loopback
::/96 ipv4-compatible
::ffff:0:0:0/96 ipv4-translated
64:ff9b::/96 pass
64:ff9b:1::/48 local-nat64
100::/64 discard-only
100:0:0:1::/64 dummy-prefix
2001::/23 ietf-protocol-assignments
2001::/32 teredo
2001:1::1/128 pass
2001:1::2/128 pass
2001:1::3/128 pass
2001:2::/48 benchmarking
2001:3::/32 pass
2001:4:112::/48 pass
2001:10::/28 orchid
2001:20::/28 pass
2001:30::/28 pass
2001:db8::/32 documentation
2002::/16 6to4
2620:4f:8000::/48 pass
3fff::/20 documentation
5f00::/16 srv6-sids
fc00::/7 unique-local
fe80::/10 link-local
fec0::/10 site-local
ff00::/8 multicast
168.63.129.16/32 cloud-metadata
100.100.100.200/32 cloud-metadata
192.0.0.192/32 cloud-metadata
fd00:ec2::254/128 cloud-metadata
`

type testBlock struct {
	prefix netip.Prefix
	rule   string // "" when reachable
}

func testBlocks(t *testing.T) []testBlock {
	t.Helper()
	var blocks []testBlock
	for line := range strings.Lines(strings.TrimSpace(blocksInTest)) {
		var prefix, id string
		_, err := fmt.Sscan(line, &prefix, &id)
		require.NoError(t, err)
		b := testBlock{prefix: netip.MustParsePrefix(prefix), rule: "special-purpose/" + id}
		if id == "pass" {
			b.rule = ""
		}
		blocks = append(blocks, b)
	}
	return blocks
}

// wantRule is what the longest of blocks says of an unmapped address.
func wantRule(blocks []testBlock, a netip.Addr) string {
	rule, bits := "", -1
	for _, b := range blocks {
		if b.prefix.Contains(a) && b.prefix.Bits() > bits {
			rule, bits = b.rule, b.prefix.Bits()
		}
	}
	return rule
}

// edges returns the first and the last address of a prefix and their neighbours outside.
func edges(p netip.Prefix) []netip.Addr {
	first := p.Masked().Addr()
	b := first.AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(b)
	out := []netip.Addr{first, last}
	for _, a := range []netip.Addr{first.Prev(), last.Next()} {
		if a.IsValid() {
			out = append(out, a)
		}
	}
	return out
}

func TestTableIsWellFormed(t *testing.T) {
	t.Parallel()
	seen := map[netip.Prefix]bool{}
	for _, b := range specialBlocks {
		require.Equal(t, b.prefix.Masked(), b.prefix, "host bits")
		require.False(t, seen[b.prefix], "%v twice", b.prefix)
		require.False(t, b.prefix.Addr().Is4In6(), "%v never matches", b.prefix)
		require.Positive(t, b.prefix.Bits())
		require.NotEmpty(t, b.id)
		require.NotEmpty(t, b.registry)
		require.NotEmpty(t, b.rfc)
		seen[b.prefix] = true
	}
}

// First, last and both neighbours of every block, under the zero policy.
func TestSpecialPurposeEdges(t *testing.T) {
	t.Parallel()
	var p Policy
	blocks := testBlocks(t)
	n := 0
	for _, b := range blocks {
		for _, a := range edges(b.prefix) {
			want := wantRule(blocks, a.Unmap())
			if want == "" {
				// The IPv4 inside may be what is refused.
				for _, in := range embedded(a.Unmap()) {
					if want == "" {
						want = wantRule(blocks, in)
					}
				}
			}
			require.Equal(t, want, judge(t, &p, a, 443), "%v, an edge of %v", a, b.prefix)
			n++
		}
	}
	require.Greater(t, n, 200)
}

// Some verdicts written out, so that the test does not only agree with itself.
func TestSpecialPurposeByHand(t *testing.T) {
	t.Parallel()
	var p Policy
	for s, want := range map[string]string{
		"127.0.0.1":                     "special-purpose/loopback",
		"::1":                           "special-purpose/loopback",
		"0.0.0.0":                       "special-purpose/this-host",
		"169.254.169.254":               "special-purpose/link-local",
		"10.1.2.3":                      "special-purpose/private-use",
		"172.31.255.255":                "special-purpose/private-use",
		"255.255.255.255":               "special-purpose/limited-broadcast",
		"168.63.129.16":                 "special-purpose/cloud-metadata",
		"100.100.100.200":               "special-purpose/cloud-metadata",
		"192.0.0.192":                   "special-purpose/cloud-metadata",
		"fd00:ec2::254":                 "special-purpose/cloud-metadata",
		"fd00:ec2::253":                 "special-purpose/unique-local",
		"fe80::1%eth0":                  "special-purpose/link-local",
		"4000::1":                       "special-purpose/unallocated",
		"1fff::1":                       "special-purpose/unallocated",
		"64:ff9c::1":                    "special-purpose/unallocated",
		"64:ff9b:0:0:0:1::1":            "special-purpose/unallocated",
		"ff0e::1":                       "special-purpose/multicast",
		"64:ff9b::7f00:1":               "special-purpose/loopback",
		"64:ff9b::808:808":              "",
		"2001:1::4":                     "special-purpose/ietf-protocol-assignments",
		"2001:4860:4860::8888":          "",
		"8.8.8.8":                       "",
		"::ffff:8.8.8.8":                "",
		"172.32.0.0":                    "",
		"168.63.129.15":                 "",
		"2606:4700::1111":               "",
		"2606:4700::5efe:7f00:1":        "special-purpose/loopback",
		"2606:4700:0:0:200:5efe:a00:1":  "special-purpose/private-use",
		"2606:4700:0:0:200:5efe:808:1":  "",
		"2606:4700:0:0:100:5efe:7f00:1": "",
	} {
		require.Equal(t, want, judge(t, &p, addr(s), 443), s)
	}
}

func TestPort25(t *testing.T) {
	t.Parallel()
	var p Policy
	require.Equal(t, RulePort25, judge(t, &p, addr("8.8.8.8"), 25))
	require.Equal(t, RulePort25, judge(t, &p, addr("64:ff9b::808:808"), 25))
	require.Equal(t, RulePort25, verdict(t, p.CheckName("", Target{Name: "mx.example.com"}, 25)))
	require.Equal(t, "", verdict(t, p.CheckName("", Target{Name: "mx.example.com"}, 587)))
	for _, allow := range []string{"8.8.8.8:25", "8.8.8.0/24", "mx.example.com"} {
		p := policy(t, Config{Allow: []string{allow}})
		mx := Target{Name: "mx.example.com"}
		require.Equal(t, "", verdict(t, p.CheckName("", mx, 25)), allow)
		require.Equal(t, "", verdict(t, p.CheckAddr("", mx, netip.MustParseAddrPort("8.8.8.8:25"))), allow)
	}
	below := policy(t, Config{Allow: []string{"*.example.com:25"}})
	require.Equal(t, RulePort25, verdict(t, below.CheckAddr("", Target{Name: "mx.example.com"}, netip.MustParseAddrPort("8.8.8.8:25"))))
	other := policy(t, Config{Allow: []string{"8.8.8.8:26"}})
	require.Equal(t, RulePort25, judge(t, other, addr("8.8.8.8"), 25))
}
