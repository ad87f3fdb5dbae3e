package hostiledns_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"

	"securesocket/server/servertest/hostiledns"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// always is a script of one reply.
func always(r hostiledns.Reply) hostiledns.Script {
	return func(hostiledns.Question) hostiledns.Reply { return r }
}

func lookup(tb testing.TB, s *hostiledns.Server) ([]netip.Addr, error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 20*time.Second)
	defer cancel()
	return s.Resolver().LookupNetIP(ctx, "ip4", "asked.example.")
}

func TestRepliesThatResolve(t *testing.T) {
	t.Parallel()
	one := []string{"93.184.216.34"}
	for name, tc := range map[string]struct {
		reply hostiledns.Reply
		want  int
		tcp   bool
	}{
		"addresses":              {hostiledns.Addresses("93.184.216.34", "2600::1"), 1, false},
		"over TCP":               {hostiledns.OverTCP(hostiledns.Addresses(one...)), 1, true},
		"late":                   {hostiledns.Late(time.Millisecond, hostiledns.Addresses(one...)), 1, false},
		"sixteen":                {hostiledns.Many(16), 16, false},
		"a thousand":             {hostiledns.Many(1000), 1000, true},
		"64 KiB":                 {hostiledns.Huge(one[0]), 1, true},
		"a chain":                {hostiledns.CNAMEChain(200, one...), 1, true},
		"the right one is last":  {hostiledns.Flood(20, hostiledns.Addresses(one...)), 1, false},
		"another question first": {hostiledns.Each(hostiledns.WrongQuestion(hostiledns.Addresses("127.0.0.1")), hostiledns.Addresses(one...)), 1, false},
		"control characters":     {hostiledns.ControlCharacters(one[0]), 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := hostiledns.Start(t, always(tc.reply))
			got, err := lookup(t, s)
			require.NoError(t, err)
			require.Len(t, got, tc.want)
			for _, a := range got {
				require.False(t, a.IsLoopback(), "a forged answer was taken")
			}
			require.Equal(t, tc.tcp, s.QueriesOverTCP() > 0)
			require.Positive(t, s.Queries())
		})
	}
}

func TestRepliesThatDoNot(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reply    hostiledns.Reply
		notFound bool
	}{
		"NXDOMAIN":     {hostiledns.Code(dnsmessage.RCodeNameError), true},
		"SERVFAIL":     {hostiledns.Code(dnsmessage.RCodeServerFailure), false},
		"CNAME loop":   {hostiledns.CNAMELoop(), true}, // that is, an answer without an address
		"pointer loop": {hostiledns.PointerLoop(), false},
		"broken off":   {hostiledns.BrokenOff(), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := lookup(t, hostiledns.Start(t, always(tc.reply)))
			de, ok := errors.AsType[*net.DNSError](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, tc.notFound, de.IsNotFound, "%v", err)
		})
	}
}

func TestAlternatesAndCounts(t *testing.T) {
	t.Parallel()
	s := hostiledns.Start(t, func(q hostiledns.Question) hostiledns.Reply {
		if q.Name != "asked.example" {
			return nil
		}
		return hostiledns.Alternating([]string{"93.184.216.34"}, []string{"127.0.0.1"})
	})
	for i := range 6 {
		got, err := lookup(t, s)
		require.NoError(t, err)
		require.Equal(t, []string{"93.184.216.34", "127.0.0.1"}[i%2], got[0].String())
	}
	require.EqualValues(t, 6, s.Queries())
}
