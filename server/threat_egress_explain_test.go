package server_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/egress"
	"securesocket/server/servertest"
	"securesocket/session"
)

// places are the names of these tests, and where they lead.
type places map[string][]string

func (p places) LookupNetIP(_ context.Context, _, host string) (addrs []netip.Addr, err error) {
	for _, text := range p[strings.TrimSuffix(host, ".")] {
		addrs = append(addrs, netip.MustParseAddr(text))
	}
	if addrs == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return addrs, nil
}

var somewhere = places{
	"public.example": {outsideAddr}, "inside.example": {"10.0.0.7"}, "mixed.example": {"10.0.0.7", outsideAddr, "192.168.0.7"},
	"nat.example": {"64:ff9b::a00:7"}, "both.example": {outsideAddr, "2606:4700::1"}, "localhost": {insideAddr},
}

// drawPolicyText draws a file of rules that are about somewhere, or near.
func drawPolicyText(t *rapid.T) string {
	var text strings.Builder
	text.WriteString("mode: " + rapid.SampledFrom([]string{"enforce", "enforce", "enforce", "report"}).Draw(t, "mode") + "\n")
	text.WriteString("mixed_answers: " + rapid.SampledFrom([]string{"deny", "first_allowed"}).Draw(t, "mixed") + "\n")
	for _, key := range []string{"deny", "allow"} {
		if !rapid.Bool().Draw(t, key) {
			continue
		}
		text.WriteString(key + ":\n")
		rules := rapid.IntRange(0, 3).Draw(t, "rules")
		if rules == 0 {
			text.WriteString("  []\n")
		}
		for range rules {
			text.WriteString("- {to: [" + strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{
				`"*"`, `"*.example"`, "public.example", "mixed.example", "inside.example", "10.0.0.0/8", "10.0.0.7", "93.184.216.0/24", `"::/0"`, "0.0.0.0/0", "localhost", "64:ff9b::/96",
			}), 1, 3).Draw(t, "to"), ", ") + "], ports: " + rapid.SampledFrom([]string{"443", "[25, 80]", "1-65535"}).Draw(t, "ports"))
			text.WriteString(rapid.SampledFrom([]string{"", `, callers: "uid:1"`, `, callers: ["uid:2", "team/*"]`, `, callers: "uid:*"`}).Draw(t, "callers"))
			text.WriteString(rapid.SampledFrom([]string{
				"", "", `, when: 'address.startsWith("10.")'`, `, when: 'port == 443'`, `, when: 'host.endsWith(".example")'`, `, when: '1 / (port - 80) > 0'`,
			}).Draw(t, "when"))
			text.WriteString("}\n")
		}
	}
	return text.String()
}

// What is explained to a caller, and about him to an administrator, is what he meets
// when he connects, by whatever policy. Only the administrator is told where rules
// are written, and where names lead.
func TestThreat51ExplanationIsWhatHappens(t *testing.T) {
	t.Parallel()
	live, policy := underPolicy(policyOf(t, "{}"))
	_, watched := watchSockets(nil)
	svc := servertest.Start(t, policy, watched, func(sc *session.Config, sv *server.Config) {
		sc.Resolver = somewhere
		sv.Administrator = func(principal string) bool { return principal == "admin" }
	})
	c, d := svc.Client(t), pb.NewDiagnosticServiceClient(svc.Dial(t))
	admin := servertest.As(t.Context(), "admin")
	type owner struct {
		ctx context.Context
		s   idle
	}
	owners := make(map[string]owner)
	for _, who := range []string{"uid:1", "uid:2", "team/a", "other"} {
		ctx := servertest.As(t.Context(), who)
		owners[who] = owner{ctx, newIdle(ctx, t, c, nil)}
	}
	var denied, allowed, sources int
	var reported atomic.Int64
	rapid.Check(t, func(rt *rapid.T) {
		text := drawPolicyText(rt)
		p := policyOf(t, text, func(c *egress.Config) {
			c.Report = func(string, egress.Target, netip.AddrPort, *egress.DeniedError) { reported.Add(1) }
		})
		live.Store(p)
		who := rapid.SampledFrom([]string{"uid:1", "uid:2", "team/a", "other"}).Draw(rt, "who")
		host := rapid.SampledFrom([]string{
			"public.example", "inside.example", "mixed.example", "nat.example", "both.example", "localhost", outsideAddr, "10.0.0.7", "::ffff:10.0.0.7", "missing.example", "metadata.google.internal",
		}).Draw(rt, "host")
		port := rapid.SampledFrom([]int32{25, 80, 443, 8080}).Draw(rt, "port")
		by := owners[who]

		reason, metadata := connectReason(by.ctx, t, c, by.s, host, port)
		before := reported.Load()
		his, err := d.ExplainPolicy(by.ctx, &pb.ExplainPolicyRequest{Host: host, Port: port})
		require.NoError(rt, err)
		about, err := d.ExplainPolicy(admin, &pb.ExplainPolicyRequest{Host: host, Port: port, Principal: who})
		require.NoError(rt, err)
		require.Equal(rt, before, reported.Load(), "who asks for an explanation goes nowhere")
		for _, e := range []*pb.ExplainPolicyResponse{his, about} {
			require.Equal(rt, p.Revision(), e.GetRevision())
			if reason == "HOST_NOT_FOUND" {
				require.Equal(rt, pb.ErrorReason_ERROR_REASON_HOST_NOT_FOUND, e.GetUnresolved().GetReason())
				continue
			}
			require.Equal(rt, reason != "EGRESS_DENIED", e.GetAllowed(), "%s\n%s of %s: %s %v %v", text, host, who, reason, metadata, e)
			if reason == "EGRESS_DENIED" && !p.FirstAllowed() {
				require.Equal(rt, metadata["rule"], e.GetRuleId(), "%s\n%s of %s: %v", text, host, who, e)
			}
		}
		require.Equal(rt, len(his.GetSteps()), len(about.GetSteps()))
		for i, step := range about.GetSteps() {
			told := his.GetSteps()[i]
			require.Equal(rt, []any{step.GetRuleId(), step.GetMatched(), step.GetAllowed()}, []any{told.GetRuleId(), told.GetMatched(), told.GetAllowed()})
			require.Empty(rt, told.GetSource())
			require.Equal(rt, strings.Contains(step.GetRuleId(), "["), step.GetSource() != "")
			if step.GetSource() != "" {
				require.Contains(rt, step.GetSource(), "policy.yaml:")
				sources++
			}
		}
		if _, isName := somewhere[host]; isName {
			for _, a := range append(somewhere[host], "policy.yaml") {
				require.NotContains(rt, his.String(), a)
			}
		}
		if reason == "EGRESS_DENIED" {
			denied++
		} else {
			allowed++
		}
	})
	require.Positive(t, denied)
	require.Positive(t, allowed)
	require.Positive(t, sources)
}

// Others are an administrator's to ask about.
func TestThreat51ExplanationsAboutOthers(t *testing.T) {
	t.Parallel()
	svc := servertest.Start(t, func(_ *session.Config, sv *server.Config) {
		sv.Administrator = func(p string) bool { return p == "admin" }
	})
	d := pb.NewDiagnosticServiceClient(svc.Dial(t))
	for who, reason := range map[string]string{"uid:1": "NOT_ALLOWED", "admin": "", servertest.Nobody: "UNAUTHENTICATED"} {
		_, err := d.ExplainPolicy(servertest.As(t.Context(), who), &pb.ExplainPolicyRequest{Host: outsideAddr, Port: 443, Principal: "uid:2"})
		require.Equal(t, reason, infoReason(err), who)
	}
	_, err := d.ExplainPolicy(servertest.As(t.Context(), "uid:2"), &pb.ExplainPolicyRequest{Host: outsideAddr, Port: 443, Principal: "uid:2"})
	require.NoError(t, err)
}

// Threat 11. The service's own addresses by every local address there is, and in
// every spelling of it: nothing that the operator allows opens the way.
func TestThreat11OwnAddresses(t *testing.T) {
	t.Parallel()
	heard, connections := countingPeer(t)
	_, port := hostPort(t, heard)
	own := netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(port)) //nolint:gosec // a port
	public := netip.MustParseAddrPort(outsideAddr + ":8443")
	_, policy := underPolicy(policyOf(t, "allow: [{to: [0.0.0.0/0, '::/0', own.example]}]", func(c *egress.Config) { c.Own = []netip.AddrPort{own, public} }))
	w, watched := watchSockets(func(ap netip.AddrPort) bool { return ap.Addr().IsLoopback() })
	svc := servertest.Start(t, policy, watched, func(sc *session.Config, _ *server.Config) { sc.Resolver = places{"own.example": {insideAddr}} })
	all := ways(t, svc)
	hosts := []string{"127.0.0.1", "127.1.2.3", "127.255.255.255", "0.0.0.0", "::", "::1", "own.example"}
	interfaces, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, i := range append(interfaces, &net.IPNet{IP: net.IPv4(127, 0, 0, 1)}) {
		a, ok := netip.AddrFromSlice(i.(*net.IPNet).IP)
		require.True(t, ok)
		hosts = append(hosts, a.Unmap().String())
		if a = a.Unmap(); a.Is4() {
			hosts = append(hosts, embeddings(a)...)
		}
	}
	for _, host := range hosts {
		for _, way := range []string{"Connect", "plain Open", "Probe", "through a proxy", "as a proxy"} {
			require.Equal(t, "EGRESS_DENIED", all[way](host, port), "%s %s", way, host)
		}
	}
	require.Equal(t, "EGRESS_DENIED", all["Connect"](outsideAddr, 8443), "by its public address, which leads back")
	require.Zero(t, w.attempts())
	require.Zero(t, connections.Load())
	require.NotEqual(t, "EGRESS_DENIED", all["Connect"](outsideAddr, 443), "another port of it is not the service")
}
