package egress

import (
	"net/netip"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Threat 52. While policies replace each other, every answer is that of one of
// them: the rule, its line and the revision belong together.
func TestLiveAnswersFromOneSnapshot(t *testing.T) {
	t.Parallel()
	a := filePolicy(t, Config{}, "deny: [{to: 8.8.8.8}]\nallow: [{to: db.example}]")
	b := filePolicy(t, Config{}, "deny:\n- to: other.example\n- to: 8.8.8.8\nallow: [{to: 10.0.0.0/8}]")
	require.NotEqual(t, a.Revision(), b.Revision())
	type answer struct{ rule, source string }
	want := map[string]answer{a.Revision(): {"deny[0]", "policy.yaml:1"}, b.Revision(): {"deny[1]", "policy.yaml:3"}}

	var live Live
	live.Store(a)
	var wg sync.WaitGroup
	stop := make(chan struct{}) // closed at the end
	defer wg.Wait()
	defer close(stop)
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				live.Store(b)
				live.Store(a)
			}
		}
	})
	for range 5000 {
		var d *DeniedError
		require.ErrorAs(t, live.CheckAddr("", Target{Name: "db.example"}, netip.MustParseAddrPort("8.8.8.8:443")), &d)
		require.Equal(t, want[d.Revision], answer{d.Rule, d.Source})
		e := live.Explain("", Target{Name: "db.example"}, []netip.Addr{addr("10.0.0.1")}, 443)
		require.True(t, e.Allowed)
		require.Equal(t, "allow[0]", e.Decisive)
	}
}

func TestLiveZeroValue(t *testing.T) {
	t.Parallel()
	var live Live
	require.Equal(t, "special-purpose/loopback", verdict(t, live.CheckAddr("", Target{}, netip.MustParseAddrPort("127.0.0.1:443"))))
	require.Equal(t, "", verdict(t, live.CheckName("", Target{Name: "a.example"}, 443)))
	require.Equal(t, builtinRevision, live.Load().Revision())
	live.Store(policy(t, Config{HasAllowList: true}))
	require.Equal(t, RuleNotInAllowList, verdict(t, live.CheckName("", Target{Name: "a.example"}, 443)))
	live.Store(nil)
	require.Equal(t, "", verdict(t, live.CheckName("", Target{Name: "a.example"}, 443)))
}
