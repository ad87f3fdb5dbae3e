package listening

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/server/ruletext"
)

func TestPorts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		allow []string
		addr  string
		want  []ruletext.Ports
	}{
		{nil, "127.0.0.1", []ruletext.Ports{{First: 1024, Last: 65535}}},
		{nil, "::1", []ruletext.Ports{{First: 1024, Last: 65535}}},
		{nil, "10.0.0.1", nil},
		{nil, "0.0.0.0", nil},
		{[]string{"none"}, "127.0.0.1", nil},
		{[]string{"10.0.0.1"}, "10.0.0.1", []ruletext.Ports{{First: 1, Last: 65535}}},
		{[]string{"10.0.0.1"}, "::ffff:10.0.0.1", []ruletext.Ports{{First: 1, Last: 65535}}},
		{[]string{"10.0.0.1"}, "10.0.0.2", nil},
		{[]string{"127.0.0.1:80"}, "127.0.0.1", []ruletext.Ports{{First: 80, Last: 80}, {First: 1024, Last: 65535}}},
		{[]string{"127.0.0.1"}, "127.0.0.1", []ruletext.Ports{{First: 1, Last: 65535}}},
		{[]string{"224.0.0.0/4"}, "224.0.0.1", nil},
		{[]string{"10.0.0.1:80"}, "10.0.0.1", []ruletext.Ports{{First: 80, Last: 80}}},
		{[]string{"10.0.0.1:90-99", "10.0.0.1:80"}, "10.0.0.1", []ruletext.Ports{{First: 80, Last: 80}, {First: 90, Last: 99}}},
		{[]string{"10.0.0.1:90-99", "10.0.0.1:80-89"}, "10.0.0.1", []ruletext.Ports{{First: 80, Last: 99}}},
		{[]string{"10.0.0.1:80-99", "10.0.0.1:85-88", "10.0.0.1:99-100"}, "10.0.0.1", []ruletext.Ports{{First: 80, Last: 100}}},
		{[]string{"10.0.0.1:80", "0.0.0.0:81", "10.0.0.2:82"}, "10.0.0.1", []ruletext.Ports{{First: 80, Last: 81}}},
		{[]string{"10.0.0.1:65535", "10.0.0.1:1"}, "10.0.0.1", []ruletext.Ports{{First: 1, Last: 1}, {First: 65535, Last: 65535}}},
		{[]string{"10.0.0.0/8", "10.0.0.1:80"}, "10.0.0.1", []ruletext.Ports{{First: 1, Last: 65535}}},
		{[]string{"10.0.0.0/8"}, "fe80::1%eth0", nil},
	} {
		require.Equal(t, c.want, policy(t, c.allow...).Ports(netip.MustParseAddr(c.addr)), "%v %s", c.allow, c.addr)
	}
	require.Empty(t, policy(t, "0.0.0.0").Ports(netip.Addr{}))
	require.Empty(t, policy(t, "::").Ports(netip.MustParseAddr("fe80::1%eth0")))
}

// Merged ranges have the same ports as those before, and as few ranges as can be.
func TestMerge(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var all []ruletext.Ports
		ports := map[uint16]bool{}
		for range random.IntN(6) {
			first := uint16(65535 - random.IntN(20))
			r := ruletext.Ports{First: first, Last: uint16(min(65535, int(first)+random.IntN(4)))}
			all = append(all, r)
			for p := int(r.First); p <= int(r.Last); p++ {
				ports[uint16(p)] = true
			}
		}
		merged := merge(all)
		before := 0
		for _, r := range merged {
			require.Greater(t, int(r.First), before+1, "apart: %v", merged)
			before = int(r.Last)
			for p := int(r.First); p <= int(r.Last); p++ {
				require.True(t, ports[uint16(p)])
				delete(ports, uint16(p))
			}
		}
		require.Empty(t, ports)
	}
}
