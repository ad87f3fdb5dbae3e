package server_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/egress"
	"securesocket/server/servertest"
)

// editions are policies that each deny one address of 93.184.216.0/24 and say which
// edition they are. By revision.
func editions(tb testing.TB, n int) ([]*egress.Policy, map[string]int) {
	tb.Helper()
	byRevision := make(map[string]int)
	var all []*egress.Policy
	for i := range n {
		p := policyOf(tb, fmt.Sprintf("deny:\n- {to: 93.184.216.0/24, when: 'port != %d', why: edition %d}\n", 1000+i, i))
		byRevision[p.Revision()] = i
		all = append(all, p)
	}
	require.Len(tb, byRevision, n)
	return all, byRevision
}

// Threat 52. Policies are replaced while callers connect: each decision is the whole
// of one policy, which was in force when it was taken, and it says which.
func TestThreat52ReloadRace(t *testing.T) {
	t.Parallel()
	all, byRevision := editions(t, 8)
	live, policy := underPolicy(all[0])
	w, watched := watchSockets(nil)
	log, logged := noted()
	svc := servertest.Start(t, policy, watched, logged)
	var stop atomic.Bool
	var reloads atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; !stop.Load(); i++ {
			live.Store(all[i%len(all)])
			svc.Registry.Rejudge()
			reloads.Add(1)
		}
	})
	host := netip.MustParseAddr(outsideAddr).String()
	var callers sync.WaitGroup
	for range 4 {
		c, d := svc.Client(t), pb.NewDiagnosticServiceClient(svc.Dial(t))
		s := newIdle(t.Context(), t, c, nil)
		callers.Go(func() {
			for i := range 300 {
				reason, metadata := connectReason(t.Context(), t, c, s, host, int32(1000+i%12)) //nolint:gosec // a port
				if reason == "EGRESS_DENIED" {
					edition, known := byRevision[metadata["policy_revision"]]
					require.True(t, known, "%v", metadata)
					require.Equal(t, fmt.Sprintf("edition %d", edition), metadata["why"], "the decision is that policy's own")
					require.NotEqual(t, edition, i%12, "which allows it")
				}
				resp, err := d.ExplainPolicy(t.Context(), &pb.ExplainPolicyRequest{Host: host, Port: int32(1000 + i%12)}) //nolint:gosec // a port
				require.NoError(t, err)
				edition, known := byRevision[resp.GetRevision()]
				require.True(t, known)
				require.Equal(t, edition == i%12, resp.GetAllowed(), "one policy explains all of it")
			}
		})
	}
	callers.Wait()
	stop.Store(true)
	wg.Wait()
	require.Positive(t, reloads.Load())
	require.Positive(t, w.attempts(), "some met the policy that allows them")
	closed := log.lines("connection closed", "reason=EGRESS_DENIED", "rule=deny[0]", "rule_source=policy.yaml:2")
	require.NotEmpty(t, closed)
	for _, line := range closed {
		require.True(t, slices.ContainsFunc(all, func(p *egress.Policy) bool {
			return strings.Contains(line, "policy="+p.Revision()) && strings.Contains(line, fmt.Sprintf("edition %d", byRevision[p.Revision()]))
		}), line)
	}
}
