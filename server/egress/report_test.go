package egress

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// In mode report, what the file and the allow list deny is told and let through;
// what is built in is denied, and not told.
func TestReportMode(t *testing.T) {
	t.Parallel()
	type told struct {
		caller, host string
		at           netip.AddrPort
		rule, source string
	}
	var got []told
	p := filePolicy(t, Config{
		Own: []netip.AddrPort{netip.MustParseAddrPort("9.9.9.9:8443")},
		Report: func(caller string, target Target, at netip.AddrPort, d *DeniedError) {
			got = append(got, told{caller, target.String(), at, d.Rule, d.Source})
			require.NotEmpty(t, d.Revision)
		},
	}, `mode: report
deny:
  - to: [bad.example, 8.8.8.0/24, 9.9.9.9, 127.0.0.0/8, 10.9.9.9]
allow:
  - to: [ok.example, 10.0.0.0/8, "*:25"]
`)
	ap := netip.MustParseAddrPort
	before := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(netip.Addr{}, port) }
	for _, c := range []struct {
		name, at string
		want     string // denied by
		told     []told
	}{
		{"ok.example", "1.1.1.1:443", "", nil},
		{"ok.example", "8.8.8.8:443", "", []told{{"uid:1", "ok.example", ap("8.8.8.8:443"), "deny[0]", "policy.yaml:3"}}},
		{"bad.example", "1.1.1.1:443", "", []told{
			{"uid:1", "bad.example", before(443), "deny[0]", "policy.yaml:3"},
			{"uid:1", "bad.example", ap("1.1.1.1:443"), "deny[0]", "policy.yaml:3"},
		}},
		{"other.example", "1.1.1.1:443", "", []told{{"uid:1", "other.example", ap("1.1.1.1:443"), RuleNotInAllowList, ""}}},
		{"other.example", "9.9.9.9:8443", RuleOwnAddress, nil},
		{"other.example", "127.0.0.1:443", "special-purpose/loopback", nil},
		{"other.example", "192.168.0.1:443", "special-purpose/private-use", nil},
		{"other.example", "10.0.0.1:443", "", nil}, // freed, as ever
		{"other.example", "10.9.9.9:443", "", []told{{"uid:1", "other.example", ap("10.9.9.9:443"), "deny[0]", "policy.yaml:3"}}},
		{"other.example", "1.1.1.1:25", RulePort25, nil},
	} {
		got = nil
		target := Target{Name: c.name}
		at := ap(c.at)
		err := p.CheckName("uid:1", target, int(at.Port()))
		if c.want == "" {
			require.NoError(t, err)
		}
		require.Equal(t, c.want, verdict(t, p.CheckAddr("uid:1", target, at)), "%+v", c)
		require.Equal(t, c.told, got, "%+v", c)
	}

	got = nil
	e := p.Explain("uid:1", Target{Name: "bad.example"}, []netip.Addr{addr("1.1.1.1")}, 443)
	require.True(t, e.Allowed)
	require.Equal(t, "deny[0]", e.Reported)
	require.Empty(t, got, "an explanation is no attempt")

	silent := filePolicy(t, Config{}, "mode: report\nallow: []")
	require.Equal(t, "", judge(t, silent, addr("8.8.8.8"), 443))
	require.Equal(t, "", verdict(t, silent.CheckName("", Target{Name: "a.example"}, 70000)))
}
