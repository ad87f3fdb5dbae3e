package listening

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/server/ruletext"
)

func policy(t *testing.T, allow ...string) *Policy {
	t.Helper()
	p, err := New(Config{Allow: allow})
	require.NoError(t, err)
	return p
}

// verdict is the rule that denies, or "".
func verdict(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var d *DeniedError
	require.ErrorAs(t, err, &d)
	require.NotEmpty(t, d.Subject)
	require.NotEmpty(t, d.Remedy)
	return d.Rule
}

func TestWithoutAWordOfTheOperatorLoopbackAlone(t *testing.T) {
	t.Parallel()
	for _, p := range []*Policy{{}, policy(t)} {
		for at, want := range map[string]string{
			"127.0.0.1:8443":          "",
			"127.0.0.1:1":             RuleLowPort,
			"127.0.0.1:1023":          RuleLowPort,
			"127.0.0.1:1024":          "",
			"[::1]:80":                RuleLowPort,
			"224.0.0.1:8443":          RuleMulticast,
			"[ff02::1]:8443":          RuleMulticast,
			"127.255.255.254:65535":   "",
			"127.0.0.1:0":             "",
			"[::1]:8443":              "",
			"[::ffff:127.0.0.1]:8443": "",
			"[::1%lo]:8443":           RuleZone,
			"10.0.0.1:8443":           RuleLoopbackOnly,
			"10.0.0.1:0":              RuleLoopbackOnly,
			"128.0.0.1:8443":          RuleLoopbackOnly,
			"[::2]:8443":              RuleLoopbackOnly,
			"[fe80::1]:8443":          RuleLoopbackOnly,
			"[::127.0.0.1]:8443":      RuleLoopbackOnly, // an address of its own (RFC 4291, 2.5.5.1)
			"0.0.0.0:8443":            RuleUnspecified,
			"0.0.0.0:0":               RuleUnspecified,
			"[::]:8443":               RuleUnspecified,
			"[::ffff:0.0.0.0]:8443":   RuleUnspecified,
		} {
			require.Equal(t, want, verdict(t, p.Check(netip.MustParseAddrPort(at))), at)
		}
		require.Equal(t, RuleInvalidAddress, verdict(t, p.Check(netip.AddrPort{})))
	}
}

func TestNoneIsNobody(t *testing.T) {
	t.Parallel()
	p := policy(t, "none")
	for _, at := range []string{"127.0.0.1:8443", "[::1]:0", "10.0.0.1:8443", "0.0.0.0:8443", "[::]:0"} {
		require.Equal(t, RuleNone, verdict(t, p.Check(netip.MustParseAddrPort(at))), at)
		require.Empty(t, p.Ports(netip.MustParseAddrPort(at).Addr()), at)
	}
}

func TestRulesAddToLoopback(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		allow           []string
		allowed, denied []string
	}{
		{
			allow:   []string{"10.0.0.1"},
			allowed: []string{"10.0.0.1:1", "10.0.0.1:65535", "10.0.0.1:0", "[::ffff:10.0.0.1]:80", "127.0.0.1:8080", "[::1]:8080"},
			denied:  []string{"10.0.0.2:80", "[::10.0.0.1]:80", "[64:ff9b::a00:1]:80"},
		},
		{
			allow:   []string{"10.0.0.1:8443", "[2001:db8::1]:8000-8099"},
			allowed: []string{"10.0.0.1:8443", "10.0.0.1:0", "[2001:db8::1]:8000", "[2001:db8::1]:8099", "127.0.0.1:8080"},
			denied:  []string{"10.0.0.1:8442", "10.0.0.1:8444", "[2001:db8::1]:7999", "[2001:db8::1]:8100", "10.0.0.2:0"},
		},
		{
			allow:   []string{"10.0.0.0/8", "2001:db8::/32"},
			allowed: []string{"10.0.0.0:80", "10.255.255.255:0", "[2001:db8:ffff::]:80"},
			denied:  []string{"11.0.0.0:80", "[2001:db9::]:80", "[fe80::1]:80"},
		},
	} {
		p := policy(t, c.allow...)
		for _, at := range c.allowed {
			require.Empty(t, verdict(t, p.Check(netip.MustParseAddrPort(at))), "%v %s", c.allow, at)
		}
		for _, at := range c.denied {
			require.Equal(t, RuleNotInAllowList, verdict(t, p.Check(netip.MustParseAddrPort(at))), "%v %s", c.allow, at)
		}
	}
}

// All addresses at once are more than each of them, but not the other way round.
func TestUnspecifiedAddresses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		allow string
		at    map[string]string
	}{
		{"0.0.0.0/0", map[string]string{"10.0.0.1:80": "", "0.0.0.0:80": RuleUnspecified, "[::]:80": RuleUnspecified, "[fe80::1]:80": RuleNotInAllowList}},
		{"0.0.0.0/8", map[string]string{"0.0.0.1:80": "", "0.0.0.0:80": RuleUnspecified}},
		{"::/0", map[string]string{"[fe80::1]:80": "", "[::]:80": RuleUnspecified, "0.0.0.0:80": RuleUnspecified, "10.0.0.1:80": RuleNotInAllowList}},
		{"::ffff:0:0/96", map[string]string{"10.0.0.1:80": "", "0.0.0.0:80": RuleUnspecified}},
		{"0.0.0.0", map[string]string{"0.0.0.0:80": "", "[::ffff:0.0.0.0]:80": "", "10.0.0.1:80": "", "[::]:80": RuleUnspecified, "[fe80::1]:80": RuleNotInAllowList}},
		{"0.0.0.0/32", map[string]string{"0.0.0.0:80": "", "10.0.0.1:80": ""}},
		{"::", map[string]string{"[::]:80": "", "[fe80::1]:80": "", "0.0.0.0:80": RuleUnspecified, "10.0.0.1:80": RuleNotInAllowList}},
		{"::/128", map[string]string{"[::]:80": ""}},
		{"0.0.0.0:80", map[string]string{"0.0.0.0:80": "", "0.0.0.0:0": "", "10.0.0.1:80": "", "0.0.0.0:81": RuleNotInAllowList, "10.0.0.1:81": RuleNotInAllowList, "[::]:80": RuleUnspecified}},
		{"[::]:80-81", map[string]string{"[::]:80": "", "[::]:82": RuleNotInAllowList, "[fe80::1]:81": "", "0.0.0.0:81": RuleUnspecified}},
	} {
		p := policy(t, c.allow)
		for at, want := range c.at {
			require.Equal(t, want, verdict(t, p.Check(netip.MustParseAddrPort(at))), "%s %s", c.allow, at)
		}
	}
}

// A remedy, followed, is a remedy.
func TestRemedyAllowsWhatWasDenied(t *testing.T) {
	t.Parallel()
	const flag = "--listen-allow "
	for _, s := range []string{"10.0.0.1:8443", "10.0.0.1:0", "[2001:db8::1]:8443", "[2001:db8::1]:0", "0.0.0.0:80", "[::]:0", "[::ffff:10.0.0.1]:80"} {
		at := netip.MustParseAddrPort(s)
		var d *DeniedError
		require.ErrorAs(t, policy(t, "192.0.2.1").Check(at), &d)
		_, allow, found := strings.Cut(d.Remedy, flag)
		require.True(t, found, d.Remedy)
		require.NoError(t, policy(t, allow).Check(at), allow)
	}
}

// The configuration is copied: a Policy does not change when its Config does.
func TestPolicyIsASnapshot(t *testing.T) {
	t.Parallel()
	cfg := Config{Allow: []string{"10.0.0.1"}}
	p, err := New(cfg)
	require.NoError(t, err)
	cfg.Allow[0] = "none"
	require.NoError(t, p.Check(netip.MustParseAddrPort("10.0.0.1:80")))
	ports := p.Ports(netip.MustParseAddr("10.0.0.1"))
	ports[0] = ruletext.Ports{}
	require.NoError(t, p.Check(netip.MustParseAddrPort("10.0.0.1:80")))
}
