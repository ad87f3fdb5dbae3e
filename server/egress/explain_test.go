package egress

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Explain judges rule by rule, the checks by index: they always agree, about the
// verdict, the rule that decided, and which addresses are usable.
func TestExplainAgreesWithTheChecks(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, caller, port := drawPolicy(t), drawCaller(t), drawPort(t)
		var addrs []netip.Addr
		for range rapid.IntRange(0, 3).Draw(t, "addresses") {
			a := drawIPv4(t)
			if rapid.Bool().Draw(t, "v6") {
				a = embeddings[rapid.IntRange(0, len(embeddings)-1).Draw(t, "form")].embed(a.As4(), public)
			}
			addrs = append(addrs, a)
		}
		target := Target{Name: drawName(t)}
		if len(addrs) > 0 && rapid.Bool().Draw(t, "literal") {
			target, addrs = Target{Addr: addrs[0].Unmap()}, []netip.Addr{addrs[0].Unmap()}
		}

		first := verdict(t, p.CheckName(caller, target, int(port)))
		var usable []netip.Addr
		for _, a := range addrs {
			v := verdict(t, p.CheckAddr(caller, target, netip.AddrPortFrom(a, port)))
			if v == "" {
				usable = append(usable, a)
			} else if first == "" {
				first = v
			}
		}
		e := p.Explain(caller, target, addrs, int(port))
		require.Equal(t, first == "", e.Allowed)
		require.Equal(t, usable, e.Usable)
		switch {
		case first != "":
			require.Equal(t, first, e.Decisive)
		case len(addrs) == 0:
			require.Empty(t, e.Decisive)
		default:
			require.NotEmpty(t, e.Decisive)
		}
		require.Equal(t, first == "", !deniedStep(p, e), "%+v", e.Steps)
	})
}

// deniedStep reports whether a step denies and is enforced.
func deniedStep(p *Policy, e Explanation) bool {
	for _, s := range e.Steps {
		reported := p.Mode() == ModeReport && (strings.HasPrefix(s.Rule, "deny[") || s.Rule == RuleNotInAllowList)
		if s.Matched && !s.Allowed && !reported {
			return true
		}
	}
	return false
}

func TestExplanationNamesRulesAndLines(t *testing.T) {
	t.Parallel()
	p := filePolicy(t, Config{Allow: []string{"198.18.0.0/15"}}, `deny:
  - to: bad.example
    callers: "uid:7"
  - to: 10.0.0.0/8
    why: the network team
allow:
  - to: "*.example"
    ports: 443
`)
	e := p.Explain("uid:1", Target{Name: "db.example"}, []netip.Addr{addr("198.18.0.1"), addr("10.0.0.1")}, 443)
	require.False(t, e.Allowed)
	require.Equal(t, "deny[1]", e.Decisive)
	require.Equal(t, []netip.Addr{addr("198.18.0.1")}, e.Usable)
	type step struct {
		rule, source, subject string
		matched, allowed      bool
	}
	var steps []step
	for _, s := range e.Steps {
		require.NotEmpty(t, s.Text)
		steps = append(steps, step{s.Rule, s.Source, s.Subject, s.Matched, s.Allowed})
	}
	const name, one, two = "db.example:443", "198.18.0.1:443", "10.0.0.1:443"
	require.Equal(t, []step{
		{"deny[0]", "policy.yaml:2", name, false, false},
		{"deny[1]", "policy.yaml:4", name, false, false},
		{"allow[0]", "policy.yaml:7", name, true, true},
		{"egress-allow[0]", "--egress-allow", name, false, true}, // its address may be of it
		{"special-purpose/metadata-name", "", name, false, false},
		{"special-purpose/localhost", "", name, false, false},
		{"port-25", "", name, false, false},
		{"not-in-allow-list", "", name, false, false},

		{"deny[0]", "policy.yaml:2", one, false, false},
		{"deny[1]", "policy.yaml:4", one, false, false},
		{"own-address", "", one, false, false},
		{"allow[0]", "policy.yaml:7", one, true, true},
		{"egress-allow[0]", "--egress-allow", one, true, true},
		{"special-purpose/metadata-name", "", name, false, false},
		{"special-purpose/localhost", "", name, false, false},
		{"special-purpose/benchmarking", "", one, false, false}, // freed
		{"port-25", "", one, false, false},
		{"not-in-allow-list", "", one, false, false},

		{"deny[0]", "policy.yaml:2", two, false, false},
		{"deny[1]", "policy.yaml:4", two, true, false},
	}, steps)

	open := policy(t, Config{}).Explain("", Target{Name: "a.example"}, []netip.Addr{addr("8.8.8.8")}, 443)
	require.True(t, open.Allowed)
	require.Equal(t, RuleDefault, open.Decisive)
}

func TestExplainOfALiteralAndOfNoPort(t *testing.T) {
	t.Parallel()
	var p Policy
	loopback := Target{Addr: addr("127.0.0.1")}
	once := p.Explain("", loopback, nil, 443)
	require.Equal(t, "special-purpose/loopback", once.Decisive)
	require.Equal(t, once, p.Explain("", loopback, []netip.Addr{loopback.Addr}, 443))
	for _, port := range []int{0, -1, 65536} {
		e := p.Explain("", Target{Name: "a.example"}, nil, port)
		require.False(t, e.Allowed)
		require.Equal(t, RuleInvalidAddress, e.Decisive)
	}
	require.Equal(t, RuleInvalidAddress, p.Explain("", Target{Name: "a.example"}, []netip.Addr{{}}, 443).Decisive)
}

// Before the addresses are known, no rule that needs one applies, whatever it says.
func TestExplainWithoutAddresses(t *testing.T) {
	t.Parallel()
	p := filePolicy(t, Config{Allow: []string{"10.3.0.0/16"}}, `deny:
  - to: 10.0.0.0/8
  - to: bad.example
  - to: a.example
    when: address.startsWith("192.")
allow:
  - to: a.example
    when: address.startsWith("198.")
  - to: [a.example, 10.4.0.0/16]
  - to: 198.18.0.0/15
    ports: 80
`)
	e := p.Explain("uid:1", Target{Name: "a.example"}, nil, 443)
	require.True(t, e.Allowed)
	require.Empty(t, e.Decisive)
	matched, texts := map[string]bool{}, map[string]string{}
	for _, s := range e.Steps {
		matched[s.Rule], texts[s.Rule] = s.Matched, s.Text
	}
	for _, awaits := range []string{"deny[0]", "deny[2]", "allow[0]", "egress-allow[0]"} {
		require.False(t, matched[awaits], awaits)
		require.Equal(t, texts["deny[0]"], texts[awaits], awaits)
	}
	for _, other := range []string{"deny[1]", "allow[1]", "allow[2]"} {
		require.NotEqual(t, texts["deny[0]"], texts[other], other)
	}
	require.True(t, matched["allow[1]"], "it is by name")
}
