package server_test

import (
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
)

// reachableBlocks lie inside specialIPv4 and specialIPv6, or beside them, and are
// globally reachable by IANA's registries.
var reachableBlocks = []string{
	"192.0.0.9/32", "192.0.0.10/32", "192.31.196.0/24", "192.52.193.0/24", "192.175.48.0/24",
	"64:ff9b::/96", "2001:1::1/128", "2001:1::2/128", "2001:1::3/128", "2001:3::/32", "2001:4:112::/48", "2001:20::/28", "2001:30::/28", "2620:4f:8000::/48",
}

// moreSpecial are the blocks of the registries that specialIPv4 and specialIPv6 have
// only by what holds them, and what no registry assigns.
var moreSpecial = []string{"192.0.0.0/24", "192.88.99.0/24", "192.0.0.192/32", "::/96", "::ffff:0:0:0/96", "::/3", "4000::/2", "8000::/1"}

// isSpecial is what the registries say of an address: the longest block decides.
func isSpecial(a netip.Addr) bool {
	a = a.Unmap()
	bits, special := -1, false
	for i, list := range [][]string{specialIPv4, specialIPv6, moreSpecial, reachableBlocks} {
		for _, text := range list {
			if p := netip.MustParsePrefix(text); p.Contains(a) && p.Bits() > bits {
				bits, special = p.Bits(), i < 3
			}
		}
	}
	return special
}

// specialEdges are the first and the last address of every block, and their
// neighbours outside, once each.
func specialEdges() (edges []netip.Addr) {
	for _, list := range [][]string{specialIPv4, specialIPv6, moreSpecial, reachableBlocks} {
		for _, text := range list {
			ends := firstAndLast(text)
			for _, a := range []netip.Addr{ends[0], ends[1], ends[0].Prev(), ends[1].Next()} {
				if a.IsValid() && !slices.Contains(edges, a) {
					edges = append(edges, a)
				}
			}
		}
	}
	return edges
}

// embedsSpecial says whether an IPv6 address carries an IPv4 address that is inside.
func embedsSpecial(a netip.Addr) bool {
	return netip.MustParsePrefix("64:ff9b::/96").Contains(a) && isSpecial(netip.AddrFrom4([4]byte(a.AsSlice()[12:])))
}

// eachWay runs a check of addresses by every way beside each other.
func eachWay(t *testing.T, svc *servertest.Service, check func(t *testing.T, way string, reason func(string, int32) string)) {
	t.Helper()
	var wg sync.WaitGroup
	for way, reason := range ways(t, svc) {
		wg.Go(func() { check(t, way, reason) })
	}
	wg.Wait()
}

// Threat 4. The addresses at the edges of every special-purpose block, by every way
// in which callers name a target: the policy decides as the registries do, and what
// is inside gets no socket, nor does a listener on loopback hear of anybody.
func TestThreat04SpecialPurposeLiterals(t *testing.T) {
	t.Parallel()
	heard, connections := countingPeer(t)
	_, port := hostPort(t, heard)
	w, watched := watchSockets(func(ap netip.AddrPort) bool { return ap.Addr().IsLoopback() })
	svc := servertest.Start(t, servertest.AllowEgress(t), watched)
	edges := specialEdges()
	require.Greater(t, len(edges), 150)
	eachWay(t, svc, func(t *testing.T, way string, reason func(string, int32) string) {
		for _, a := range edges {
			denied := isSpecial(a) || embedsSpecial(a)
			if !denied && way == "through a proxy" {
				continue // it is the proxy that is dialled
			}
			got := reason(a.String(), port)
			if denied != (got == "EGRESS_DENIED") {
				t.Errorf("%s %s: %s", way, a, got)
			}
		}
	})
	require.Zero(t, connections.Load())
	w.requireNothingInside(t, isSpecial)
	for _, a := range edges {
		at := netip.AddrPortFrom(a.Unmap(), uint16(port)) //nolint:gosec // a port
		if isSpecial(a) || embedsSpecial(a) {
			require.Zero(t, w.passedTo(at), "%s", at)
		} else if a.Is4() {
			require.NotZero(t, w.passedTo(at), "%s: the test looks where sockets are", at)
		}
	}
}

// Threat 5. An IPv4 address in every embedding is judged as what it carries: none of
// those of a special address is dialled.
func TestThreat05EmbeddedIPv4(t *testing.T) {
	t.Parallel()
	w, watched := watchSockets(nil)
	svc := servertest.Start(t, servertest.AllowEgress(t), watched)
	all := ways(t, svc)
	for _, v4 := range []string{"127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.255.255", "0.0.0.0", "100.64.0.1", "224.0.0.1", "255.255.255.255", "168.63.129.16"} {
		for _, a := range embeddings(netip.MustParseAddr(v4)) {
			for _, way := range []string{"Connect", "plain Open", "Probe", "as a proxy"} {
				require.Equal(t, "EGRESS_DENIED", all[way](a, 443), "%s %s %s", way, v4, a)
			}
		}
	}
	require.Zero(t, w.attempts())

	// A public address may be reached in the embeddings that are themselves reachable.
	public := netip.MustParseAddr("93.184.216.34")
	for i, a := range embeddings(public) {
		reachable := i == 0 || i == 3 || i == 7 // mapped, NAT64, ISATAP
		require.Equal(t, reachable, all["Connect"](a, 443) != "EGRESS_DENIED", a)
	}
	require.Equal(t, 1, w.passedTo(netip.AddrPortFrom(public, 443)))
}

// Who allows an address has not allowed what hides in another.
func TestThreat05AllowedOutsideIsNotInside(t *testing.T) {
	t.Parallel()
	w, watched := watchSockets(nil)
	all := ways(t, servertest.Start(t, servertest.AllowEgress(t, "64:ff9b::/96", "2002::/16", "::ffff:0:0:0/96", "2001::/32", "::/96"), watched))
	for _, a := range embeddings(netip.MustParseAddr("10.1.2.3")) {
		require.Equal(t, "EGRESS_DENIED", all["Connect"](a, 443), a)
		require.Equal(t, "EGRESS_DENIED", all["as a proxy"](a, 443), a)
	}
	require.Zero(t, w.attempts())
}

// Threat 6. Twelve spellings of addresses that libraries of C take and this service
// does not: none reaches a resolver, or a socket.
func TestThreat06AlternateSpellings(t *testing.T) {
	t.Parallel()
	w, watched := watchSockets(nil)
	asked := &countingResolver{}
	svc := servertest.Start(t, servertest.AllowEgress(t), watched, func(sc *session.Config, _ *server.Config) { sc.Resolver = asked })
	all := ways(t, svc)
	for kind, spellings := range map[string][]string{
		"two parts":         {"127.1", "10.1"},
		"three parts":       {"127.0.1", "192.168.257"},
		"octal":             {"0177.0.0.1", "00.0.0.0", "012.0.0.1"},
		"one number":        {"2130706433", "0", "017700000001"},
		"hexadecimal":       {"0x7f.1", "0x7f000001", "0X7F.0.0.1", "0x"},
		"full-width digits": {"１２７.0.0.1", "１０.0.0.1"},
		"ideographic dots":  {"127。0。0。1", "127．0．0．1", "127｡0｡0｡1"},
		"circled digits":    {"①②⑦.⓪.⓪.①", "⑩.0.0.1"},
		"a zone":            {"fe80::1%eth0", "fe80::1%25eth0", "::1%lo", "127.0.0.1%lo"},
		"a dot at the end":  {"127.0.0.1.", "localhost.", "example.com."},
		"brackets":          {"[::1]", "[127.0.0.1]", "[::ffff:127.0.0.1]"},
		"a URL or part":     {"http://127.0.0.1", "127.0.0.1/", "user@127.0.0.1", "127.0.0.1:80", "127.0.0.1#", "127.0.0.1?x"},
		"blanks":            {" 127.0.0.1", "127.0.0.1\n", "127.0.0.1\x00", "127.0.0.1\t.example", "\u200b127.0.0.1"},
		"five parts":        {"127.0.0.1.1", "1.2.3.4.5"},
		"out of range":      {"256.0.0.1", "127.0.0.999", "4294967296"},
	} {
		for _, spelling := range spellings {
			for way, reason := range all {
				if !slices.Contains([]string{"Connect", "Open", "Probe", "as a proxy"}, way) {
					continue
				}
				want := "HOST_SYNTAX"
				got := reason(spelling, 443)
				if way == "as a proxy" && got == "INVALID_FIELD" {
					want = got // the host is a setting there
				}
				require.Equal(t, want, got, "%s: %s %q", way, kind, spelling)
			}
		}
	}
	require.Empty(t, asked.asked())
	require.Zero(t, w.attempts())
}

// Names that are harmless, however near, are names.
func TestThreat06NamesAreAsked(t *testing.T) {
	t.Parallel()
	asked := &countingResolver{}
	_, watched := watchSockets(nil)
	all := ways(t, servertest.Start(t, servertest.AllowEgress(t), watched, func(sc *session.Config, _ *server.Config) { sc.Resolver = asked }))
	for _, name := range []string{"127.0.0.1.example", "0x7f.example", "r3---sn.example", "_service.example"} {
		require.Equal(t, "HOST_NOT_FOUND", all["Connect"](name, 443), name)
		require.Equal(t, name+".", asked.asked()[len(asked.asked())-1])
	}
}

// Threat 10. Metadata services, by address and by name: no name server is told.
func TestThreat10MetadataServices(t *testing.T) {
	t.Parallel()
	asked := &countingResolver{}
	w, watched := watchSockets(nil)
	all := ways(t, servertest.Start(t, servertest.AllowEgress(t), watched, func(sc *session.Config, _ *server.Config) { sc.Resolver = asked }))
	for cloud, hosts := range map[string][]string{
		"AWS":           {"169.254.169.254", "fd00:ec2::254", "169.254.170.2", "fd00:ec2::23", "instance-data", "instance-data.ec2.internal"},
		"Google Cloud":  {"metadata.google.internal", "metadata.goog", "METADATA.google.internal", "Metadata.Google.Internal"},
		"Azure":         {"168.63.129.16", "::ffff:168.63.129.16", "64:ff9b::a83f:8110"},
		"Alibaba Cloud": {"100.100.100.200", "2002:6464:64c8::1"},
		"Oracle Cloud":  {"192.0.0.192", "::192.0.0.192"},
		"Tencent Cloud": {"metadata.tencentyun.com", "169.254.0.23"},
		"Equinix Metal": {"metadata.platformequinix.com"},
		"by IDNA":       {"metadata.ｇｏｏｇｌｅ.internal", "metadata。google。internal", "ⓜetadata.goog"},
	} {
		for _, host := range hosts {
			for way, reason := range all {
				require.Equal(t, "EGRESS_DENIED", reason(host, 80), "%s %s %s", way, cloud, host)
			}
		}
	}
	require.Empty(t, asked.asked())
	require.Zero(t, w.attempts())

	// Who runs a name under another's domain for its address gets no further.
	inside := servertest.Start(t, servertest.AllowEgress(t), watched, func(sc *session.Config, _ *server.Config) { sc.Resolver = addressList{"169.254.169.254"} })
	require.Equal(t, "EGRESS_DENIED", ways(t, inside)["Connect"]("169.254.169.254.nip.example", 80))
	require.Zero(t, w.attempts())
}
