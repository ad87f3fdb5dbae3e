package listening

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever an entry is, it is refused as one, or it allows what it says and no more than its own ports.
func FuzzRule(f *testing.F) {
	for _, seed := range []string{
		"10.0.0.1", "10.0.0.1:80-90", "[2001:db8::1]:443", "::", "0.0.0.0/0", "::ffff:10.0.0.0/104", "none",
		"[::1%lo]:80", "10.0.0.1:80-", "\xff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, entry string) {
		p, err := New(Config{Allow: []string{entry}})
		if err != nil {
			var rule *RuleError
			require.ErrorAs(t, err, &rule)
			require.Less(t, len(rule.Error()), 2000)
			return
		}
		if entry == none {
			require.Empty(t, p.Ports(netip.IPv6Loopback()))
			return
		}
		r := p.allow[0]
		require.NotZero(t, r.ports.First)
		require.LessOrEqual(t, r.ports.First, r.ports.Last)
		addr := r.prefix.Addr()
		if addr.IsUnspecified() && !r.prefix.IsSingleIP() {
			require.Equal(t, RuleUnspecified, verdict(t, p.Check(netip.AddrPortFrom(addr, r.ports.First))))
			return
		}
		require.NoError(t, p.Check(netip.AddrPortFrom(addr, r.ports.First)))
		require.NoError(t, p.Check(netip.AddrPortFrom(addr, r.ports.Last)))
		if r.ports.First > 1 && !addr.IsLoopback() {
			require.Equal(t, RuleNotInAllowList, verdict(t, p.Check(netip.AddrPortFrom(addr, r.ports.First-1))))
		}
	})
}
