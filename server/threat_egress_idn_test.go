package server_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
)

// Threat 50. Names beyond ASCII: what is asked of the resolver, judged, shown and
// logged is one A-label, however it was written.
func TestThreat50InternationalisedNames(t *testing.T) {
	t.Parallel()
	for written, label := range map[string]string{
		"bücher.example":                 "xn--bcher-kva.example",
		"BÜCHER.EXAMPLE":                 "xn--bcher-kva.example",
		"bu\u0308cher.example":           "xn--bcher-kva.example", // decomposed
		"XN--BCHER-KVA.example":          "xn--bcher-kva.example",
		"ｂｕ̈ｃｈｅｒ．ｅｘａｍｐｌｅ":                "xn--bcher-kva.example", // full width
		"bücher。example":                 "xn--bcher-kva.example",
		"faß.example":                    "xn--fa-hia.example", // not fass
		"\u0430pple.example":             "xn--pple-43d.example",
		"b\u00adücher.example":           "xn--bcher-kva.example", // a soft hyphen is nothing
		"例え.テスト":                         "xn--r8jz45g.xn--zckzah",
		"ＡＰＰＬＥ.example":                  "apple.example",
		"\u212aelvin.example":            "kelvin.example", // the Kelvin sign
		"e\u0301cole.example":            "xn--cole-9oa.example",
		"xn--bcher-kva.b\u00fccher.test": "xn--bcher-kva.xn--bcher-kva.test",
	} {
		asked := &countingResolver{}
		_, watched := watchSockets(nil)
		svc := servertest.Start(t, servertest.AllowEgress(t), watched, func(sc *session.Config, _ *server.Config) { sc.Resolver = asked })
		c := svc.Client(t)
		s := newIdle(t.Context(), t, c, nil)
		_, err := c.Connect(t.Context(), &pb.ConnectRequest{SessionId: s.id, Host: written, Port: 443})
		require.Equal(t, "HOST_NOT_FOUND", reasonOf(t, err), "%q", written)
		require.Equal(t, []string{label + "."}, asked.asked(), "%q", written)
		require.Equal(t, label, getSession(t.Context(), t, c, s).GetHost(), "what the caller is shown")
	}
}

// What decodes to something else than it reads, or to nothing, is no name: an A-label
// of plain ASCII would be a second spelling of what a rule is about.
func TestThreat50InvalidLabels(t *testing.T) {
	t.Parallel()
	asked := &countingResolver{}
	w, watched := watchSockets(nil)
	all := ways(t, servertest.Start(t, servertest.AllowEgress(t), watched, func(sc *session.Config, _ *server.Config) { sc.Resolver = asked }))
	for _, host := range []string{
		"xn--localhost-", "xn--localhost-.example", "a.xn--example-.com", "xn--.example", "xn--a.example", "xn--0.example",
		"xn--ls8h=.example", "xn--bcher-kva\u00fc.example", "xn--\u00fc.example", "xn--FA-hIA-.example",
		"a\u202eb.example", "\u05d0a.example", "\u0300a.example", "a..example", "-ü.example", "ü-.example", "\ufffd.example", "\u2f67.example\u0000",
		"xn--a-ecp.ru", "xn--0ca24w.xn--", "\u06dd.example",
	} {
		for _, way := range []string{"Connect", "Open", "Probe"} {
			require.Equal(t, "HOST_SYNTAX", all[way](host, 443), "%s %q", way, host)
		}
	}
	require.Empty(t, asked.asked())
	require.Zero(t, w.attempts())
}

// A rule about a name is about its A-label, however either is written, and about
// none that only looks alike.
func TestThreat50RulesMatchALabels(t *testing.T) {
	t.Parallel()
	for _, rule := range []string{"bücher.example", "xn--bcher-kva.example", "BÜCHER.example", "bu\u0308cher.example"} {
		w, watched := watchSockets(nil)
		_, policy := underPolicy(policyOf(t, "deny:\n- to: ["+`"`+rule+`", apple.example]`))
		all := ways(t, servertest.Start(t, policy, watched, func(sc *session.Config, _ *server.Config) { sc.Resolver = addressList{outsideAddr} }))
		for _, host := range []string{"bücher.example", "XN--Bcher-KVA.example", "bu\u0308cher.example", "ＡＰＰＬＥ.example", "apple。example"} {
			require.Equal(t, "EGRESS_DENIED", all["Connect"](host, 443), "%s %q", rule, host)
		}
		require.Zero(t, w.attempts())
		for _, host := range []string{"bucher.example", "\u0430pple.example", "app1e.example", "xn--pple-43d.example"} {
			require.NotEqual(t, "EGRESS_DENIED", all["Connect"](host, 443), "%s %q", rule, host)
		}
	}
}
