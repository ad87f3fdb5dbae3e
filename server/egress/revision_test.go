package egress

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each input changes the revision, the same inputs do not, and a denial carries it.
func TestRevision(t *testing.T) {
	t.Parallel()
	file := func(name, text string) *File {
		f, err := ParseFile(name, []byte(text))
		require.NoError(t, err)
		return f
	}
	seen := map[string]Config{}
	for _, cfg := range []Config{
		{}, {HasAllowList: true}, {Allow: []string{"a.example"}}, {Allow: []string{"a.example", "b.example"}}, {Allow: []string{"b.example", "a.example"}},
		{Own: []netip.AddrPort{netip.MustParseAddrPort("8.8.8.8:1")}}, {Own: []netip.AddrPort{netip.MustParseAddrPort("8.8.8.8:2")}},
		{File: file("a", "{}")}, {File: file("a", "allow: []")}, {File: file("a", "allow: [] ")}, {File: file("a", "mode: report")},
	} {
		p := policy(t, cfg)
		require.Len(t, p.Revision(), 12)
		require.NotContains(t, seen, p.Revision())
		seen[p.Revision()] = cfg
		require.Equal(t, p.Revision(), policy(t, cfg).Revision())
		for _, err := range []error{
			p.CheckAddr("", Target{}, netip.MustParseAddrPort("127.0.0.1:1")), p.CheckAddr("", Target{}, netip.AddrPort{}), p.CheckName("", Target{Name: "localhost"}, 1),
		} {
			var d *DeniedError
			require.ErrorAs(t, err, &d)
			require.Equal(t, p.Revision(), d.Revision)
		}
	}
	require.Equal(t, policy(t, Config{File: file("a", "{}")}).Revision(), policy(t, Config{File: file("b", "{}")}).Revision())

	// The addresses of the host are an input where they matter.
	cfg := Config{Own: []netip.AddrPort{netip.MustParseAddrPort("[::]:1")}}
	here, err := newPolicy(cfg, testInterfaces)
	require.NoError(t, err)
	require.NotEqual(t, here.Revision(), policy(t, cfg).Revision())
}
