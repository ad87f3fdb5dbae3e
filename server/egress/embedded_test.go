package egress

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// embeddings are the ways to write an IPv4 address into an IPv6 one. fill is
// what a form leaves to chance: the rest of a prefix, another address.
var embeddings = []struct {
	name  string
	embed func(a [4]byte, fill [8]byte) netip.Addr
}{
	{"mapped", low32("::ffff:0:0")},
	{"compatible", low32("::")},
	{"SIIT", low32("::ffff:0:0:0")},
	{"NAT64", low32("64:ff9b::")},
	{"NAT64-local /96", low32("64:ff9b:1::")},
	{"NAT64-local /48", func(a [4]byte, _ [8]byte) netip.Addr {
		b := addr("64:ff9b:1::").As16()
		b[6], b[7], b[9], b[10] = a[0], a[1], a[2], a[3]
		return netip.AddrFrom16(b)
	}},
	{"6to4", func(a [4]byte, fill [8]byte) netip.Addr {
		b := addr("2002::").As16()
		copy(b[2:], a[:])
		copy(b[6:], fill[:])
		return netip.AddrFrom16(b)
	}},
	{"Teredo client", func(a [4]byte, fill [8]byte) netip.Addr {
		b := addr("2001::").As16()
		copy(b[4:12], fill[:])
		for i := range a {
			b[12+i] = ^a[i]
		}
		return netip.AddrFrom16(b)
	}},
	{"Teredo server", func(a [4]byte, fill [8]byte) netip.Addr {
		b := addr("2001::").As16()
		copy(b[4:], a[:])
		copy(b[8:], fill[:])
		return netip.AddrFrom16(b)
	}},
	{"ISATAP", func(a [4]byte, fill [8]byte) netip.Addr {
		b := [16]byte{0x26, 0x06, 10: 0x5e, 11: 0xfe}
		copy(b[2:8], fill[:6])
		b[8] = fill[6] & 2
		copy(b[12:], a[:])
		return netip.AddrFrom16(b)
	}},
	{"ISATAP in any prefix", func(a [4]byte, fill [8]byte) netip.Addr {
		b := [16]byte{10: 0x5e, 11: 0xfe}
		copy(b[:8], fill[:])
		copy(b[12:], a[:])
		return netip.AddrFrom16(b)
	}},
}

func low32(prefix string) func([4]byte, [8]byte) netip.Addr {
	return func(a [4]byte, _ [8]byte) netip.Addr {
		b := netip.MustParseAddr(prefix).As16()
		copy(b[12:], a[:])
		return netip.AddrFrom16(b)
	}
}

// public fills the fields that are another address: 8.8.8.8, plain as Teredo's
// server, and obfuscated as its client.
var public = [8]byte{8, 8, 8, 8, 0xf7, 0xf7, 0xf7, 0xf7}

// Every edge of every IPv4 block, in every embedding, with the built-in rules and
// with all of IPv6 allowed, which must not free the IPv4 address inside.
func TestEmbeddedEdges(t *testing.T) {
	t.Parallel()
	blocks := testBlocks(t)
	var zero Policy
	all6 := policy(t, Config{Allow: []string{"::/0"}})
	for _, b := range blocks {
		if !b.prefix.Addr().Is4() {
			continue
		}
		for _, a := range edges(b.prefix) {
			want := wantRule(blocks, a)
			for _, e := range embeddings {
				outer := e.embed(a.As4(), public)
				if outer == addr("::") || outer == addr("::1") {
					require.NotEmpty(t, judge(t, &zero, outer, 443))
					continue // no embeddings, whatever their bits
				}
				require.Equal(t, want, judge(t, all6, outer, 443), "%v as %s: %v", a, e.name, outer)
				if want != "" {
					require.NotEmpty(t, judge(t, &zero, outer, 443), "%v as %s: %v", a, e.name, outer)
				}
			}
		}
	}
}

func TestEmbeddedReadings(t *testing.T) {
	t.Parallel()
	for s, want := range map[string][]string{
		"8.8.8.8":                              nil,
		"::":                                   nil,
		"::1":                                  nil,
		"::2":                                  {"0.0.0.2"},
		"::7f00:1":                             {"127.0.0.1"},
		"::ffff:0:7f00:1":                      {"127.0.0.1"},
		"64:ff9b::7f00:1":                      {"127.0.0.1"},
		"64:ff9b:0:1::7f00:1":                  nil,
		"64:ff9b:1::":                          {"0.0.0.0"},
		"64:ff9b:1::7f00:1":                    {"127.0.0.1"},
		"64:ff9b:1:7f00:0:100::":               {"127.0.0.1"},
		"64:ff9b:1:7f00:0:100:808:808":         {"127.0.0.1", "8.8.8.8"},
		"64:ff9b:1:808:0808:800::":             {"8.8.8.8"},
		"2002:7f00:1::1":                       {"127.0.0.1"},
		"2001:0:4136:e378:8000:63bf:3fff:fdd2": {"65.54.227.120", "192.0.2.45"}, // RFC 4380's own shape
		"2002:808:808::5efe:a00:1":             {"8.8.8.8", "10.0.0.1"},
		"fe80::5efe:a00:1":                     {"10.0.0.1"},
		"fe80::200:5efe:a00:1":                 {"10.0.0.1"},
		"2606:4700::1":                         nil,
	} {
		var got []string
		for _, a := range embedded(addr(s)) {
			got = append(got, a.String())
		}
		require.Equal(t, want, got, s)
	}
}

func TestExplicitAllowOfInnerAndOuter(t *testing.T) {
	t.Parallel()
	outer := addr("64:ff9b::a00:1")
	for _, c := range []struct {
		allow []string
		list  bool
		want  string
	}{
		{nil, false, "special-purpose/private-use"},
		{[]string{"64:ff9b::/96"}, false, "special-purpose/private-use"},
		{[]string{"64:ff9b::a00:1"}, true, "special-purpose/private-use"},
		{[]string{"10.0.0.0/8"}, false, ""}, // 64:ff9b::/96 itself is reachable
		{[]string{"10.0.0.0/8"}, true, RuleNotInAllowList},
		{[]string{"10.0.0.0/8", "64:ff9b::/96"}, true, ""},
		{[]string{"10.0.0.1:80", "64:ff9b::/96"}, true, "special-purpose/private-use"},
	} {
		p := policy(t, Config{Allow: c.allow, HasAllowList: c.list})
		require.Equal(t, c.want, judge(t, p, outer, 443), "%v %v", c.allow, c.list)
	}
	// The inner address need not be in the allow list, only not be denied.
	p := policy(t, Config{Allow: []string{"64:ff9b::/96"}, HasAllowList: true})
	require.Equal(t, "", judge(t, p, addr("64:ff9b::808:808"), 443))
	require.Equal(t, RulePort25, judge(t, p, addr("64:ff9b::808:808"), 25))
	require.Equal(t, RuleNotInAllowList, judge(t, p, addr("8.8.8.8"), 443))
}

// The mapped spelling is the same socket address: it is allowed and denied
// together with the IPv4 address, under every policy.
func TestMappedIsTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		a, port := drawIPv4(t), drawPort(t)
		require.Equal(t, judge(t, p, a, port), judge(t, p, netip.AddrFrom16(a.As16()), port))
	})
}

// Threat 5. No embedding gets further than the address itself, whatever is allowed
// and denied, for whom and on what condition.
func TestEmbeddingIsNeverMorePermissive(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, caller := drawPolicy(t), drawCaller(t)
		a, port := drawIPv4(t), drawPort(t)
		var fill [8]byte
		copy(fill[:], rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "fill"))
		target := Target{}
		if rapid.Bool().Draw(t, "named") {
			target.Name = drawName(t)
		}
		inner := verdict(t, p.CheckAddr(caller, target, netip.AddrPortFrom(a, port)))
		if inner == "" || inner == RuleNotInAllowList {
			return // the inner address need not be in the allow list
		}
		for _, e := range embeddings {
			outer := e.embed(a.As4(), fill)
			if outer == addr("::") || outer == addr("::1") {
				continue // no embeddings, whatever their bits
			}
			got := verdict(t, p.CheckAddr(caller, target, netip.AddrPortFrom(outer, port)))
			require.NotEmpty(t, got, "%v is denied by %s, but %s %v is allowed", a, inner, e.name, outer)
			if inner == RuleOwnAddress && !strings.HasPrefix(got, "deny[") {
				require.Equal(t, inner, got, "%s %v", e.name, outer)
			}
		}
	})
}

// What CheckName denies, CheckAddr denies for every address.
func TestCheckNameDeniesOnlyTheHopeless(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, caller := drawPolicy(t), drawCaller(t)
		port := drawPort(t)
		target := Target{Name: drawName(t)}
		if verdict(t, p.CheckName(caller, target, int(port))) == "" {
			return
		}
		a := drawIPv4(t)
		if rapid.Bool().Draw(t, "v6") {
			a = embeddings[rapid.IntRange(0, len(embeddings)-1).Draw(t, "form")].embed(a.As4(), public)
		}
		require.NotEmpty(t, verdict(t, p.CheckAddr(caller, target, netip.AddrPortFrom(a, port))))
	})
}

func testInterfaces() ([]net.Addr, error) {
	return []net.Addr{
		&net.IPNet{IP: net.ParseIP("127.0.0.1"), Mask: net.CIDRMask(8, 32)},
		&net.IPNet{IP: net.ParseIP("10.0.0.7"), Mask: net.CIDRMask(8, 32)},
		&net.IPNet{IP: net.ParseIP("8.8.4.4").To4(), Mask: net.CIDRMask(24, 32)},
		&net.IPAddr{IP: net.ParseIP("fe80::7"), Zone: "eth0"},
		&net.IPNet{IP: net.ParseIP("2606:4700::7"), Mask: net.CIDRMask(64, 128)},
	}, nil
}

// drawIPv4 draws inside the blocks and policies of the tests as often as anywhere.
func drawIPv4(t *rapid.T) netip.Addr {
	if rapid.Bool().Draw(t, "anywhere") {
		return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "a")))
	}
	return addr(rapid.SampledFrom([]string{
		"127.0.0.1", "127.9.9.9", "10.0.0.1", "10.0.0.7", "8.8.8.8", "8.8.4.4", "0.0.0.0", "192.0.2.1", "169.254.169.254",
		"168.63.129.16", "224.0.0.1", "255.255.255.255", "192.0.0.9", "192.168.1.1", "100.64.0.1",
	}).Draw(t, "a"))
}
