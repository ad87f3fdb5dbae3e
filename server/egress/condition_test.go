package egress

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestConditions(t *testing.T) {
	t.Parallel()
	at := netip.MustParseAddrPort("8.8.8.8:443")
	for when, want := range map[string]bool{
		`true`: true, `false`: false,
		`host == "a.example" && port == 443 && caller == "uid:1" && address == "8.8.8.8"`: true,
		`host.endsWith(".example")`: true, `host.matches("^[a-c][.]")`: true, `host.startsWith("b")`: false,
		`port in [80, 443]`: true, `port > 1000 || caller.startsWith("uid:")`: true,
		`caller in ["uid:2", "spiffe://a"]`: false, `["8.", "9."].exists(p, address.startsWith(p))`: true,
	} {
		p := filePolicy(t, Config{}, "deny: [{to: '*', when: "+quoteYAML(when)+"}]\nallow: [{to: '*:443', when: "+quoteYAML(when)+"}]")
		got := verdict(t, p.CheckAddr("uid:1", Target{Name: "a.example"}, at))
		if want {
			require.Equal(t, "deny[0]", got, when)
		} else {
			require.Equal(t, RuleNotInAllowList, got, when)
		}
	}
}

func quoteYAML(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// What cannot be evaluated, or costs too much, denies where it would deny, and
// allows nothing where it would allow.
func TestConditionsFailClosed(t *testing.T) {
	t.Parallel()
	at := netip.MustParseAddrPort("8.8.8.8:443")
	host := Target{Name: "a.example"}
	hundred := "[" + strings.Repeat("1,", 99) + "1]"
	for _, when := range []string{
		`1 / (port - 443) == 0`,
		`int(host) == 1`,
		`[1][port] == 1`,
		hundred + ".all(a, " + hundred + ".all(b, a + b == 2))",
		`{"x": "y"}[caller] == "y"`,
	} {
		deny := filePolicy(t, Config{}, "deny: [{to: '*', when: "+quoteYAML(when)+"}]")
		require.Equal(t, "deny[0]", verdict(t, deny.CheckAddr("", host, at)), when)
		require.Equal(t, "deny[0]", verdict(t, deny.CheckName("", host, 443)), when)
		allow := filePolicy(t, Config{}, "allow: [{to: '*:443', when: "+quoteYAML(when)+"}]")
		require.Equal(t, RuleNotInAllowList, verdict(t, allow.CheckAddr("", host, at)), when)
		require.Equal(t, RuleNotInAllowList, verdict(t, allow.CheckName("", host, 443)), when)
	}
	// Where the division works, so does the rule.
	deny := filePolicy(t, Config{}, "deny: [{to: '*', when: '1 / (port - 443) == 1'}]")
	require.Equal(t, "", verdict(t, deny.CheckAddr("", host, netip.MustParseAddrPort("8.8.8.8:80"))))
	require.Equal(t, "deny[0]", verdict(t, deny.CheckAddr("", host, netip.MustParseAddrPort("8.8.8.8:444"))))
}

// A condition about the address waits for one, and sees those inside it; the host
// of a literal is the address that is judged.
func TestConditionsAboutAddresses(t *testing.T) {
	t.Parallel()
	p := filePolicy(t, Config{}, `deny: [{to: "*", when: '!address.startsWith("9.")'}]`)
	host := Target{Name: "a.example"}
	require.Equal(t, "", verdict(t, p.CheckName("", host, 443)))
	require.Equal(t, "deny[0]", verdict(t, p.CheckAddr("", host, netip.MustParseAddrPort("8.8.8.8:443"))))
	require.Equal(t, "", verdict(t, p.CheckAddr("", host, netip.MustParseAddrPort("9.9.9.9:443"))))

	for _, when := range []string{`address == "8.8.8.8"`, `host == "8.8.8.8"`} {
		p = filePolicy(t, Config{}, "deny: [{to: '*', when: "+quoteYAML(when)+"}]")
		require.Equal(t, "deny[0]", judge(t, p, addr("64:ff9b::808:808"), 443), when)
		require.Equal(t, "", judge(t, p, addr("64:ff9b::808:809"), 443), when)
	}
	// A name's own rule does not free an address inside for which it does not hold.
	p = filePolicy(t, Config{}, `allow: [{to: a.example, when: '!address.startsWith("127.")'}]`)
	require.Equal(t, "", verdict(t, p.CheckName("", host, 443)))
	require.Equal(t, "", verdict(t, p.CheckAddr("", host, netip.MustParseAddrPort("10.0.0.1:443"))))
	require.Equal(t, "special-purpose/loopback", verdict(t, p.CheckAddr("", host, netip.MustParseAddrPort("127.0.0.1:443"))))
	require.Equal(t, "special-purpose/loopback", verdict(t, p.CheckAddr("", host, netip.MustParseAddrPort("[64:ff9b::7f00:1]:443"))))
}
