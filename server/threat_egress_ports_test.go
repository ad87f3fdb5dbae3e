package server_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/session/quota"
)

// connectReason is why a principal's connect to a host fails, with its metadata.
func connectReason(ctx context.Context, tb testing.TB, c pb.SecureSocketServiceClient, s idle, host string, port int32) (string, map[string]string) {
	tb.Helper()
	_, err := c.Connect(ctx, &pb.ConnectRequest{SessionId: s.id, Host: host, Port: port, Plain: true})
	return infoOf(tb, err)
}

// Threat 12. Ports are allowed and denied by caller; 25 is nobody's until somebody
// is given it.
func TestThreat12PortsByCaller(t *testing.T) {
	t.Parallel()
	_, policy := underPolicy(policyOf(t, `
deny:
  - {to: "*", ports: [22, 8000-8999], callers: ["team-a/*"], why: "no shells"}
allow:
  - {to: "*", ports: [22, 443, 8000-9000], callers: ["team-a/*", "team-b/*"]}
  - {to: mail.example, ports: 25, callers: "team-b/postfix"}
`))
	w, watched := watchSockets(nil)
	c := servertest.Start(t, policy, watched, func(sc *session.Config, _ *server.Config) { sc.Resolver = addressList{outsideAddr} }).Client(t)
	for _, tc := range []struct {
		caller, host string
		port         int32
		rule         string
	}{
		{"team-a/x", "web.example", 443, ""},
		{"team-a/x", "web.example", 22, "deny[0]"},
		{"team-a/x", outsideAddr, 8000, "deny[0]"},
		{"team-a/x", outsideAddr, 8999, "deny[0]"},
		{"team-a/x", outsideAddr, 9000, ""},
		{"team-b/x", outsideAddr, 22, ""},
		{"team-b/x", outsideAddr, 7999, "not-in-allow-list"},
		{"team-a", outsideAddr, 443, "not-in-allow-list"},
		{"team-a/x", "mail.example", 25, "port-25"},
		{"team-b/postfix", "mail.example", 25, ""},
		{"team-b/postfix", "web.example", 25, "port-25"},
		{"team-b/postfixes", "mail.example", 25, "port-25"},
	} {
		ctx := servertest.As(t.Context(), tc.caller)
		reason, metadata := connectReason(ctx, t, c, newIdle(ctx, t, c, nil), tc.host, tc.port)
		require.Equal(t, tc.rule != "", reason == "EGRESS_DENIED", "%+v", tc)
		require.Equal(t, tc.rule, metadata["rule"], "%+v", tc)
		require.Equal(t, map[string]string{"deny[0]": "no shells"}[tc.rule], metadata["why"])
	}
	require.Equal(t, 4, w.attempts())
}

// A scan of 1,000 ports: so many destinations as the operator lets a caller turn to,
// then LIMIT with the time to wait for. The operator reads of it once. Who scans does
// not hold up others, nor himself where he has been.
func TestThreat12Scan(t *testing.T) {
	t.Parallel()
	const burst = 50
	w, watched := watchSockets(nil)
	log, logged := noted()
	var suspected atomic.Int64
	c := servertest.Start(t, servertest.AllowEgress(t), watched, logged, func(sc *session.Config, _ *server.Config) {
		sc.DestinationsPerOwner = quota.Limit{PerSecond: 1, Burst: burst}
		sc.Suspected = func(owner string) {
			if owner == "scanner" {
				suspected.Add(1)
			}
		}
	}).Client(t)
	ctx := servertest.As(t.Context(), "scanner")
	s := newIdle(ctx, t, c, nil)
	began, limited := time.Now(), 0
	for port := range int32(1000) {
		_, err := c.Connect(ctx, &pb.ConnectRequest{SessionId: s.id, Host: outsideAddr, Port: 1000 + port, Plain: true})
		if reasonOf(t, err) != "LIMIT" {
			continue
		}
		limited++
		require.True(t, slices.ContainsFunc(status.Convert(err).Details(), func(d any) bool {
			r, ok := d.(*errdetails.RetryInfo)
			return ok && r.GetRetryDelay().AsDuration() > 0
		}), "RetryInfo in %v", err)
	}
	more := int(time.Since(began)/time.Second) + 1 // came back meanwhile
	require.LessOrEqual(t, w.attempts(), burst+more)
	require.GreaterOrEqual(t, w.attempts(), burst)
	require.Equal(t, 1000, w.attempts()+limited)
	require.Equal(t, int64(1), suspected.Load())
	require.Len(t, log.lines("scan suspected", "owner=scanner"), 1)

	reason, _ := connectReason(ctx, t, c, s, outsideAddr, 1000)
	require.NotEqual(t, "LIMIT", reason, "he has been there")
	other := servertest.As(t.Context(), "another")
	reason, _ = connectReason(other, t, c, newIdle(other, t, c, nil), outsideAddr, 5)
	require.NotEqual(t, "LIMIT", reason)
}

// What is denied is counted too: to look for holes in the policy is to scan. So is
// what goes by Open, Probe and a proxy.
func TestThreat12EveryWayCounts(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"10.0.0.1", outsideAddr} {
		for _, way := range []string{"Connect", "plain Connect", "STARTTLS", "Open", "Probe", "as a proxy", "through a proxy"} {
			w, watched := watchSockets(nil)
			svc := servertest.Start(t, servertest.AllowEgress(t), watched, func(sc *session.Config, _ *server.Config) {
				sc.DestinationsPerOwner = quota.Limit{PerSecond: 1, Burst: 8}
			})
			try := ways(t, svc)[way]
			limited := 0
			for port := range int32(100) {
				if try(host, 100+port) == "LIMIT" {
					limited++
				}
			}
			require.Greater(t, limited, 60, "%s to %s", way, host)
			require.Less(t, w.attempts(), 40)
		}
	}
}

// Threat 12. Nor does anybody scan by asking for explanations.
func TestThreat12ExplanationsDialNothing(t *testing.T) {
	t.Parallel()
	w, watched := watchSockets(nil)
	svc := servertest.Start(t, servertest.AllowEgress(t), watched)
	d := pb.NewDiagnosticServiceClient(svc.Dial(t))
	for port := range int32(100) {
		resp, err := d.ExplainPolicy(t.Context(), &pb.ExplainPolicyRequest{Host: outsideAddr, Port: 1000 + port})
		require.NoError(t, err)
		require.True(t, resp.GetAllowed())
	}
	require.Zero(t, w.attempts())
}

// Nor does anybody look through names by it: they are destinations too.
func TestThreat12ExplanationsOfNamesCount(t *testing.T) {
	t.Parallel()
	asked := &countingResolver{}
	svc := servertest.Start(t, servertest.AllowEgress(t), func(sc *session.Config, _ *server.Config) {
		sc.Resolver, sc.DestinationsPerOwner = asked, quota.Limit{PerSecond: 1, Burst: 8}
	})
	d := pb.NewDiagnosticServiceClient(svc.Dial(t))
	limited := 0
	for i := range 100 {
		_, err := d.ExplainPolicy(t.Context(), &pb.ExplainPolicyRequest{Host: fmt.Sprintf("n%d.example", i), Port: 443})
		if infoReason(err) == "LIMIT" {
			limited++
		}
	}
	require.Equal(t, 100, limited+len(asked.asked()))
	require.Greater(t, limited, 60)
}
