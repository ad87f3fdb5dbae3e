package egress

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// samplePolicy is what an operator may have. Nothing in it is without effect on
// sampleQuestions.
const samplePolicy = `mode: enforce
mixed_answers: first_allowed
deny:
  - to: [198.51.100.0/24, "*.corp.example", bad.example]
  - to: "*"
    ports: [22, 8000-8999]
    callers: ["uid:1", "spiffe://prod/*"]
    why: no shells
  - to: ["*.shared.example"]
    when: host.endsWith(".b.shared.example") && port == 443
allow:
  - to: ["*"]
    ports: [22, 80, 443, 8000-9000]
  - to: [10.1.0.0/16, "db.example:5432"]
    callers: "uid:2"
  - to: localhost
    ports: 9000
    when: caller == "uid:3"
`

// sampleAnswers asks much of a policy and writes all verdicts down.
func sampleAnswers(t *testing.T, p *Policy) []string {
	t.Helper()
	answers := []string{fmt.Sprint(p.FirstAllowed(), p.Mode())}
	for _, caller := range []string{"uid:1", "uid:2", "uid:3", "uid:4", "spiffe://prod/a", "spiffe://test/a"} {
		for _, port := range []uint16{22, 80, 443, 5432, 7999, 8000, 8999, 9000, 9001} {
			for host, a := range map[string]string{
				"198.51.100.1": "198.51.100.1", "a.corp.example": "8.8.8.8", "corp.example": "8.8.8.8", "bad.example": "8.8.8.8", "x.bad.example": "8.8.8.8",
				"a.b.shared.example": "8.8.8.8", "a.c.shared.example": "8.8.8.8", "10.1.0.1": "10.1.0.1", "10.2.0.1": "10.2.0.1",
				"db.example": "10.3.0.1", "localhost": "127.0.0.1", "public.test": "8.8.8.8",
			} {
				target, err := ParseHost(host)
				require.NoError(t, err)
				for _, err := range []error{p.CheckName(caller, target, int(port)), p.CheckAddr(caller, target, netip.AddrPortFrom(addr(a), port))} {
					answers = append(answers, fmt.Sprintf("%s %s %s %d: %v %s", caller, host, a, port, err == nil, why(err)))
				}
			}
		}
	}
	slices.Sort(answers)
	return answers
}

// why returns what a caller may read.
func why(err error) string {
	if d, ok := errors.AsType[*DeniedError](err); ok {
		return d.Why
	}
	return ""
}

// Threat 51. Every key, rule and entry of the sample matters: a file without it, or
// with another value, is refused, or judges something else.
func TestEveryPartOfAPolicyMatters(t *testing.T) {
	t.Parallel()
	want := sampleAnswers(t, filePolicy(t, Config{}, samplePolicy))
	var root yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(samplePolicy), &root))

	mutants := 0
	check := func(what string, n *yaml.Node) {
		t.Helper()
		mutants++
		text, err := yaml.Marshal(&root)
		require.NoError(t, err)
		f, err := ParseFile("mutant.yaml", text)
		if err != nil {
			return
		}
		p, err := New(Config{File: f})
		require.NoError(t, err)
		if slices.Equal(want, sampleAnswers(t, p)) {
			t.Errorf("%s of line %d, %q, changes nothing", what, n.Line, n.Value)
		}
	}
	var mutate func(n *yaml.Node)
	mutate = func(n *yaml.Node) {
		whole := n.Content
		step := 1
		if n.Kind == yaml.MappingNode {
			step = 2
		}
		for i := 0; n.Kind != yaml.DocumentNode && i < len(whole); i += step {
			if whole[i].Value == "mode" {
				continue // to leave enforce out is to say it
			}
			n.Content = slices.Delete(slices.Clone(whole), i, i+step)
			check("the loss", whole[i])
			n.Content = whole
		}
		for i, c := range whole {
			if n.Kind == yaml.MappingNode && i%2 == 0 {
				continue
			}
			mutate(c)
		}
		if n.Kind != yaml.ScalarNode {
			return
		}
		was := n.Value
		for _, other := range others(was) {
			n.Value = other
			check("another value, "+other, &yaml.Node{Line: n.Line, Value: was})
		}
		n.Value = was
	}
	mutate(&root)
	require.Greater(t, mutants, 60)
}

// others returns values that are near to one of the sample.
func others(value string) []string {
	near := map[string][]string{
		"enforce":           {"report"},
		"first_allowed":     {"deny"},
		"198.51.100.0/24":   {"198.51.100.0/32", "198.51.0.0/24"},
		"*.corp.example":    {"corp.example", "*.a.corp.example", "*.example"},
		"bad.example":       {"*.bad.example", "ad.example"},
		"22":                {"23", "22-80"},
		"8000-8999":         {"8001-8999", "8000-8998", "7999-8999", "8000-9000"},
		"8000-9000":         {"8001-9000", "8000-8999", "7999-9000", "8000-9001"},
		"80":                {"81"},
		"443":               {"442"},
		"9000":              {"8999", "1-65535"},
		"uid:1":             {"uid:*", "uid:2", "uid:"},
		"uid:2":             {"uid:*", "uid:3", "*"},
		"spiffe://prod/*":   {"spiffe://prod/", "spiffe://*"},
		"no shells":         {"no"},
		"10.1.0.0/16":       {"10.1.0.0/32", "10.0.0.0/8"},
		"db.example:5432":   {"db.example", "*.db.example:5432", "db.example:5433"},
		"localhost":         {"*.localhost", "127.0.0.2"},
		`caller == "uid:3"`: {`caller != "uid:3"`, `true`, `false`, `caller == "uid:4"`},
		"*.shared.example":  {"shared.example", "*.a.shared.example"},
		"*":                 {"*.example", "0.0.0.0/0"},
		`host.endsWith(".b.shared.example") && port == 443`: {`port == 443`, `host.endsWith(".b.shared.example")`, `host.endsWith(".b.shared.example") && port != 443`},
	}
	return near[value]
}
