package egress

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func ownPolicy(t *testing.T, cfg Config) *Policy {
	t.Helper()
	p, err := newPolicy(cfg, testInterfaces)
	require.NoError(t, err)
	return p
}

// Everything that can be allowed is, so that only the own addresses are left to deny.
var allowAll = []string{"0.0.0.0/0", "::/0", "me.example", "localhost"}

func TestOwnAddresses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		own     string
		own2    []string // denied at the own port
		foreign []string // not denied
	}{
		{
			own: "127.0.0.1:8443",
			own2: []string{
				"127.0.0.1", "127.0.0.2", "127.255.255.255", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1", "::ffff:0.0.0.0",
				"10.0.0.7", "8.8.4.4", "fe80::7", "fe80::7%eth0", "2606:4700::7",
				"::7f00:1", "::ffff:0:7f00:1", "64:ff9b::7f00:1", "64:ff9b::a00:7", "64:ff9b:1::7f00:1", "2002:7f00:1::",
				"2001:0:808:808::80ff:fffe", "2606:4700::5efe:7f00:1",
			},
			foreign: []string{"10.0.0.8", "8.8.8.8", "2606:4700::8"},
		},
		{
			own:     "0.0.0.0:8443",
			own2:    []string{"127.0.0.1", "127.1.2.3", "::1", "0.0.0.0", "::", "10.0.0.7", "8.8.4.4", "fe80::7", "2606:4700::7", "::ffff:10.0.0.7"},
			foreign: []string{"10.0.0.8", "8.8.8.8"},
		},
		{
			own:     "[::]:8443",
			own2:    []string{"127.0.0.1", "::1", "0.0.0.0", "::", "10.0.0.7", "2606:4700::7"},
			foreign: []string{"10.0.0.8"},
		},
		{own: "[::1]:8443", own2: []string{"::1", "127.0.0.1", "::", "10.0.0.7"}},
		{
			own:     "10.0.0.7:8443",
			own2:    []string{"10.0.0.7", "::ffff:10.0.0.7", "64:ff9b::a00:7", "0.0.0.0", "::"},
			foreign: []string{"127.0.0.1", "::1", "8.8.4.4"},
		},
		{own: "[::ffff:10.0.0.9]:8443", own2: []string{"10.0.0.9", "::ffff:a00:9"}},
		{own: "[fe80::9%eth1]:8443", own2: []string{"fe80::9", "fe80::9%eth0"}},
		// An address that is no interface's, as behind a load balancer.
		{own: "203.0.113.5:8443", own2: []string{"203.0.113.5"}, foreign: []string{"203.0.113.6", "10.0.0.7"}},
	} {
		p := ownPolicy(t, Config{Own: []netip.AddrPort{netip.MustParseAddrPort(c.own)}, Allow: allowAll})
		for _, s := range c.own2 {
			require.Equal(t, RuleOwnAddress, judge(t, p, addr(s), 8443), "own %s, dial %s", c.own, s)
			require.Equal(t, RuleOwnAddress, verdict(t, p.CheckAddr("", Target{Name: "me.example"}, netip.AddrPortFrom(addr(s), 8443))), s)
			require.NotEqual(t, RuleOwnAddress, judge(t, p, addr(s), 8444), "another port")
		}
		for _, s := range c.foreign {
			require.Equal(t, "", judge(t, p, addr(s), 8443), "own %s, dial %s", c.own, s)
		}
	}
}

// With the interfaces that this machine really has.
func TestOwnUnspecifiedOnThisHost(t *testing.T) {
	t.Parallel()
	p := policy(t, Config{Own: []netip.AddrPort{netip.MustParseAddrPort("[::]:8443")}, Allow: allowAll})
	addrs, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, a := range addrs {
		prefix, err := netip.ParsePrefix(a.String())
		require.NoError(t, err)
		require.Equal(t, RuleOwnAddress, judge(t, p, prefix.Addr(), 8443), "%v", a)
	}
}

func TestOwnNeedsAddressAndPort(t *testing.T) {
	t.Parallel()
	for _, own := range []netip.AddrPort{{}, netip.MustParseAddrPort("127.0.0.1:0"), netip.AddrPortFrom(netip.Addr{}, 80)} {
		_, err := New(Config{Own: []netip.AddrPort{own}})
		var rule *RuleError
		require.ErrorAs(t, err, &rule)
	}
}

func TestInterfacesUnreadable(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	fail := func() ([]net.Addr, error) { return nil, broken }
	_, err := newPolicy(Config{Own: []netip.AddrPort{netip.MustParseAddrPort("[::]:1")}}, fail)
	require.ErrorIs(t, err, broken)
	_, err = newPolicy(Config{Own: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:1")}}, fail)
	require.NoError(t, err, "not needed for an address that is neither unspecified nor loopback")
}
