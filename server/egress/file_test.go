package egress

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The order of judging, one explicit rule after the other above what decided before.
func TestOrderOfFileRules(t *testing.T) {
	t.Parallel()
	private := netip.MustParseAddrPort("10.0.0.1:443")
	public := netip.MustParseAddrPort("8.8.8.8:443")
	host := Target{Name: "db.example"}
	own := Config{Own: []netip.AddrPort{private, public}}

	for _, c := range []struct {
		name, file      string
		cfg             Config
		private, public string
	}{
		{"nothing", `{}`, Config{}, "special-purpose/private-use", ""},
		{"empty deny list", `deny: []`, Config{}, "special-purpose/private-use", ""},
		{"empty allow list denies all", `allow: []`, Config{}, "special-purpose/private-use", RuleNotInAllowList},
		{"the flag adds to it", `allow: []`, Config{Allow: []string{"10.0.0.1"}}, "", RuleNotInAllowList},
		{"allow", `allow: [{to: [10.0.0.0/8]}]`, Config{}, "", RuleNotInAllowList},
		{"allow by name", `allow: [{to: db.example}]`, Config{}, "", ""},
		{"a flag's list without a file's", `{}`, Config{HasAllowList: true}, "special-purpose/private-use", RuleNotInAllowList},
		{"below frees nothing", `allow: [{to: "*.example"}]`, Config{}, "special-purpose/private-use", ""},
		{"* frees nothing", `allow: [{to: "*", ports: 443}]`, Config{}, "special-purpose/private-use", ""},
		{"*:PORT", `allow: [{to: "*:443"}]`, Config{}, "special-purpose/private-use", ""},
		{"* of other ports", `allow: [{to: "*", ports: [1-442, 444-65535]}]`, Config{}, "special-purpose/private-use", RuleNotInAllowList},
		{"own above allow", `allow: [{to: db.example}]`, own, RuleOwnAddress, RuleOwnAddress},
		{"deny above own", `deny: [{to: 10.0.0.0/8}]`, own, "deny[0]", RuleOwnAddress},
		{"deny above allow", "deny: [{to: 10.0.0.1}]\nallow: [{to: db.example}]", Config{}, "deny[0]", ""},
		{"deny above flags", `deny: [{to: db.example}]`, Config{Allow: []string{"db.example", "0.0.0.0/0"}}, "deny[0]", "deny[0]"},
		{"the first that applies", "deny: [{to: other.example}, {to: '*', ports: 443}, {to: db.example}]", Config{}, "deny[1]", "deny[1]"},
		{"first by place, not by kind", "deny: [{to: 10.0.0.0/8}, {to: '*'}, {to: db.example}]", Config{}, "deny[0]", "deny[1]"},
		{"first by place, the other way round", "deny: [{to: db.example}, {to: '*'}, {to: 0.0.0.0/0}]", Config{}, "deny[0]", "deny[0]"},
		{"deny everything", `deny: [{to: "*"}]`, Config{}, "deny[0]", "deny[0]"},
	} {
		p := filePolicy(t, c.cfg, c.file)
		require.Equal(t, c.private, verdict(t, p.CheckAddr("", host, private)), c.name)
		require.Equal(t, c.public, verdict(t, p.CheckAddr("", host, public)), c.name)
	}
}

// Names are denied before DNS, prefixes with every address that carries one of theirs.
func TestExplicitDeny(t *testing.T) {
	t.Parallel()
	p := filePolicy(t, Config{}, `deny:
  - to: [bad.example, "*.corp.example", "bücher.example:443", 8.8.8.0/24]
  - to: "[2606:4700::1]:443"
    why: not there
`)
	for name, want := range map[string]string{
		"bad.example": "deny[0]", "a.bad.example": "", "notbad.example": "", "corp.example": "", "a.corp.example": "deny[0]",
		"a.b.corp.example": "deny[0]", "acorp.example": "", "xn--bcher-kva.example": "deny[0]", "dns.example": "",
	} {
		require.Equal(t, want, verdict(t, p.CheckName("", Target{Name: name}, 443)), name)
		require.Equal(t, want, verdict(t, p.CheckAddr("", Target{Name: name}, netip.MustParseAddrPort("9.9.9.9:443"))), name)
	}
	require.Equal(t, "", verdict(t, p.CheckName("", Target{Name: "xn--bcher-kva.example"}, 80)))

	all6 := filePolicy(t, Config{Allow: []string{"::/0", "0.0.0.0/0"}}, "deny: [{to: 8.8.8.0/24}]")
	for _, e := range embeddings {
		outer := e.embed([4]byte{8, 8, 8, 8}, [8]byte{9, 9, 9, 9, 0xf6, 0xf6, 0xf6, 0xf6})
		require.Equal(t, "deny[0]", judge(t, all6, outer, 443), "%s %v", e.name, outer)
		outer = e.embed([4]byte{8, 8, 9, 8}, [8]byte{9, 9, 9, 9, 0xf6, 0xf6, 0xf6, 0xf6})
		require.Equal(t, "", judge(t, all6, outer, 443), "%s %v", e.name, outer)
	}
	require.Equal(t, "deny[1]", judge(t, p, addr("2606:4700::1"), 443))
	require.Equal(t, "", judge(t, p, addr("2606:4700::1"), 80))

	var d *DeniedError
	require.ErrorAs(t, p.CheckAddr("", Target{}, netip.MustParseAddrPort("[2606:4700::1]:443")), &d)
	require.Equal(t, "policy.yaml:3", d.Source)
	require.Equal(t, "not there", d.Why)
	require.Equal(t, p.Revision(), d.Revision)
	require.NotContains(t, d.Error(), "policy.yaml")
}

// Threat 12. Ports are opened and closed for one caller and not for another.
func TestPortListsPerCaller(t *testing.T) {
	t.Parallel()
	p := filePolicy(t, Config{}, `deny:
  - {to: "*", ports: [22, 8000-8999], callers: ["uid:1", "spiffe://prod/*"]}
allow:
  - {to: "*", ports: [443, 25, 20-23, 8500], callers: ["uid:1", "uid:2"]}
  - {to: mx.example, ports: 25, callers: "uid:2"}
  - {to: "*", ports: 1-65535, callers: "spiffe://*"}
`)
	for _, c := range []struct {
		caller string
		port   uint16
		want   string
	}{
		{"uid:1", 443, ""}, {"uid:1", 22, "deny[0]"}, {"uid:1", 8500, "deny[0]"}, {"uid:1", 8001, "deny[0]"}, {"uid:1", 80, RuleNotInAllowList},
		{"uid:2", 443, ""}, {"uid:2", 22, ""}, {"uid:2", 19, RuleNotInAllowList}, {"uid:2", 24, RuleNotInAllowList}, {"uid:2", 8500, ""},
		{"uid:2", 25, ""}, {"uid:1", 25, RulePort25}, // * puts 25 into the list, and frees from nothing
		{"uid:12", 443, RuleNotInAllowList}, {"", 443, RuleNotInAllowList}, {"UID:1", 443, RuleNotInAllowList},
		{"spiffe://prod/a", 7999, ""}, {"spiffe://prod/a", 8000, "deny[0]"}, {"spiffe://prod/a", 8999, "deny[0]"}, {"spiffe://prod/a", 9000, ""},
		{"spiffe://prod", 8000, ""}, {"spiffe://test/a", 22, ""}, {"spiffe://test/a", 25, RulePort25}, {"spiffe:", 443, RuleNotInAllowList},
		{"uid:9/spiffe://prod/a", 22, RuleNotInAllowList}, {"xuid:1", 443, RuleNotInAllowList},
	} {
		at := netip.AddrPortFrom(addr("8.8.8.8"), c.port)
		require.Equal(t, c.want, verdict(t, p.CheckAddr(c.caller, Target{Name: "mx.example"}, at)), "%+v", c)
		require.Equal(t, c.want, verdict(t, p.CheckName(c.caller, Target{Name: "mx.example"}, int(c.port))), "%+v", c)
	}
}

// TestEveryMistakeOfAFile: they are told together, each with its line, and so many at most.
func TestEveryMistakeOfAFile(t *testing.T) {
	t.Parallel()
	lines := func(text string) (all []int) {
		_, err := ParseFile("policy.yaml", []byte(text))
		joined, ok := err.(interface{ Unwrap() []error })
		require.True(t, ok)
		for _, err := range joined.Unwrap() {
			var fe *FileError
			require.ErrorAs(t, err, &fe)
			all = append(all, fe.Line)
		}
		return all
	}
	require.Equal(t, []int{1, 2, 4, 5, 6, 8, 9, 11, 12, 13, 15}, lines(`mode: reporting
mixed_answers: no
deny:
  - too: a.example           # not also that "to" is missing
  - ports: 22
  - to: [10.0.0.1/8, b.example]
    ports:
      - 0
      - ssh
      - 22
    callers: [17, "uid:1"]
    when: port
    why: yes
allow:
  - to: "*"
`))
	require.Equal(t, []int{1, 2}, lines("mode: &a enforce\nmixed_answers: *a\nnonsense: 1\n"), "the rest may mean anything")
	require.Len(t, lines("deny:\n"+strings.Repeat("- 1\n", 10*maxMistakes)), maxMistakes+1)
}

// Threat 51. What an operator may have meant otherwise is refused, with its line.
func TestFileErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		line int
	}{
		{"", 1}, {"\n# nothing\n", 1}, {"null", 1}, {"[]", 1}, {"policy", 1}, {"---\n---\n", 2},
		{"mode: enforce\n---\nmode: report\n", 2}, {"mode: enforce\n---\n", 2}, {"mode: enforce\n--- {\n", 2},
		{"mode: [", 1}, {"mode: enforce\n  deny: []\n", 2}, {"\tmode: enforce", 1}, {"mode: \"enforce", 1}, {"\x00", 1}, {"mode: \xff", 1},
		// Keys.
		{"mode: enforce\nmodes: report", 2}, {"Mode: enforce", 1}, {"mode: enforce\nmode: enforce", 2}, {"1: x", 1}, {"[a]: x", 1}, {"<<: {mode: report}", 1},
		{"deny:\n  - to: a.example\n    port: 22", 3}, {"deny:\n  - to: a.example\n    to: b.example", 3}, {"deny:\n  - port: 22", 2}, {"deny:\n  - {}", 2},
		{"deny:\n  - ports: 22", 2}, {"deny:\n  - a.example", 2}, {"deny:\n  -", 2}, {"denied: []", 1},
		// Modes, and what YAML 1.1 makes of words.
		{"mode: Enforce", 1}, {"mode: ''", 1}, {"mode:", 1}, {"mode: off", 1}, {"mode: [enforce]", 1}, {"mode: true", 1}, {"mixed_answers: allow", 1}, {"mixed_answers: no", 1},
		{"deny:\n- to: NO", 2}, {"deny:\n- to: no", 2}, {"deny:\n- to: [y]", 2}, {"deny:\n- to: on", 2}, {"deny:\n- to: ~", 2}, {"deny:\n- to: null", 2}, {"deny:\n- to:", 2},
		{"deny:\n- to: 10", 2}, {"deny:\n- to: 10.0", 2}, {"deny:\n- to: 2001-01-01", 2}, {"deny:\n- to: 1:2:3:4:5:6:7:8", 2}, {"deny:\n- to: 0x7f", 2}, {"deny:\n- to: .inf", 2},
		{"deny:\n- {to: a.example, callers: 1000}", 2}, {"deny:\n- {to: a.example, callers: 1:30}", 2}, {"deny:\n- {to: a.example, why: yes}", 2}, {"deny:\n- {to: a.example, when: true}", 2},
		// Lists.
		{"allow:", 1}, {"mode: enforce\nallow: null", 2}, {"allow: ~", 1}, {"deny:", 1}, {"allow: none", 1}, {"allow: {}", 1}, {"allow: {to: a.example}", 1},
		{"deny:\n- to: []", 2}, {"deny:\n- {to: a.example, ports: []}", 2}, {"deny:\n- {to: a.example, callers: []}", 2}, {"deny:\n- {to: a.example, callers:}", 2},
		{"deny:\n- to:\n  - a.example\n  - [b.example]", 4}, {"deny:\n- to: {a.example: 1}", 2}, {"deny:\n- {to: a.example, ports: {a: 1}}", 2},
		// Globs that are no suffixes.
		{"deny:\n- to: \"*example.com\"", 2}, {"deny:\n- to: \"**.example.com\"", 2}, {"deny:\n- to: a.*.example", 2}, {"deny:\n- to: example.*", 2}, {"deny:\n- to: .example.com", 2},
		{"deny:\n- to: \"*.\"", 2}, {"deny:\n- to: 10.*", 2}, {"deny:\n- to: 10.0.0.1/8", 2}, {"deny:\n- to: \"*:0\"", 2}, {"deny:\n- to: \"*:\"", 2}, {"deny:\n- to: \"*:22-23\"", 2}, {"deny:\n- to: \"*/0\"", 2},
		{"allow:\n- to: \"*\"", 2}, {"allow:\n- to: [a.example, \"*\"]", 2}, {"deny:\n- to: a.example,b.example", 2},
		{"deny:\n- {to: a.example, callers: \"u*d\"}", 2}, {"deny:\n- {to: a.example, callers: \"*:1\"}", 2}, {"deny:\n- {to: a.example, callers: \"a**\"}", 2}, {"deny:\n- {to: a.example, callers: \"\"}", 2},
		// Ports.
		{"deny:\n- {to: a.example, ports: 0}", 2}, {"deny:\n- {to: a.example, ports: 65536}", 2}, {"deny:\n- {to: a.example, ports: -22}", 2}, {"deny:\n- {to: a.example, ports: 022}", 2},
		{"deny:\n- {to: a.example, ports: 0x16}", 2}, {"deny:\n- {to: a.example, ports: 2_2}", 2}, {"deny:\n- {to: a.example, ports: 22.0}", 2}, {"deny:\n- {to: a.example, ports: 2.2e1}", 2}, {"deny:\n- {to: a.example, ports: ssh}", 2},
		{"deny:\n- {to: a.example, ports: 30-20}", 2}, {"deny:\n- {to: a.example, ports: 20-}", 2}, {"deny:\n- {to: a.example, ports: 20-30-40}", 2}, {"deny:\n- {to: a.example, ports: 20 - 30}", 2},
		{"deny:\n- {to: a.example, ports: \"22,23\"}", 2}, {"deny:\n- {to: a.example, ports: true}", 2}, {"deny:\n- {to: a.example, ports: 20:30}", 2}, {"deny:\n- {to: a.example:22, ports: 22}", 2},
		{"deny:\n- to: a.example\n  ports:\n  - 22\n  - 0", 5},
		// Conditions.
		{"deny:\n- {to: a.example, when: ''}", 2}, {"deny:\n- {to: a.example, when: 'port'}", 2}, {"deny:\n- {to: a.example, when: 'hots == \"a\"'}", 2}, {"deny:\n- {to: a.example, when: 'port == \"22\"'}", 2},
		{"deny:\n- {to: a.example, when: 'port =='}", 2}, {"deny:\n- {to: a.example, when: 'dyn(true)'}", 2}, {"deny:\n- {to: a.example, when: 'host.matches(\"(\")'}", 2}, {"deny:\n- {to: a.example, when: 'now() == 1'}", 2},
		{"deny:\n- {to: a.example, when: 'host == \"" + strings.Repeat("a", maxCondition) + "\"'}", 2}, {"deny:\n- {to: a.example, when: '" + strings.Repeat("(", 500) + "true" + strings.Repeat(")", 500) + "'}", 2},
		// What means more than it shows.
		{"deny:\n- to: *.example", 2}, {"deny:\n- to: [*.example]", 2}, {"deny: &d []\nallow: *d", 1}, {"deny:\n- to: a.example\nallow:\n- to: &a b.example", 4},
		{"deny:\n- to: !!str NO", 2}, {"deny: !!seq []", 1}, {"mode: !x enforce", 1}, {"a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]", 1},
		{strings.Repeat("[", 100) + strings.Repeat("]", 100), 1}, {strings.Repeat("[", 20000), 1}, {"#" + strings.Repeat("x", maxFile), 1},
	} {
		f, err := ParseFile("policy.yaml", []byte(c.text))
		var fe *FileError
		require.ErrorAs(t, err, &fe, "%.80q", c.text)
		require.Nil(t, f)
		require.Equal(t, "policy.yaml", fe.File)
		require.Equal(t, c.line, fe.Line, "%.80q: %v", c.text, err)
		require.NotEmpty(t, fe.Why)
		require.Less(t, len(fe.Error()), 2048)
	}
}

// The same words, written so that they mean one thing.
func TestFileAccepts(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{}`, "---\nmode: enforce\n...\n", "# why\nmode: report # now", "\ufeffmode: report", "deny: []\nallow: []", "mode: 'report'",
		"deny:\n- to: 'no'", "deny:\n- to: ['1:2:3:4:5:6:7:8', a-b.example, 10.0.0.1:22, '[::1]:22', '::1']",
		"deny:\n- {to: a.example, ports: '22', callers: '1000', why: 'yes'}", "deny:\n- {to: a.example, ports: [22, '22-23', 24-25]}",
		"deny:\n- to: a.example\n  when: |\n    port == 22 &&\n    host.matches('^a[.]')\n", "deny:\n- {to: a.example, callers: '*'}", "allow:\n- {to: ['*:22', 10.0.0.0/8]}",
	} {
		f, err := ParseFile("policy.yaml", []byte(text))
		require.NoError(t, err, text)
		_, err = New(Config{File: f})
		require.NoError(t, err, text)
	}
}

func TestModeAndMixedAnswers(t *testing.T) {
	t.Parallel()
	var zero Policy
	require.Equal(t, ModeEnforce, zero.Mode())
	require.False(t, zero.FirstAllowed())
	require.Equal(t, ModeEnforce, filePolicy(t, Config{}, "mixed_answers: deny").Mode())
	p := filePolicy(t, Config{}, "mode: report\nmixed_answers: first_allowed")
	require.Equal(t, ModeReport, p.Mode())
	require.True(t, p.FirstAllowed())
}

// Whatever a file holds, it is refused with its line, or it is a policy whose
// explanations are what it does.
func FuzzPolicyFile(f *testing.F) {
	for _, seed := range []string{
		"", "{}", "mode: report", "allow: []", "allow:", "mode: enforce\n---\n", "deny: &a []\nallow: *a", "deny:\n- to: NO", "deny:\n- to: *.example",
		samplePolicy, "deny:\n- {to: '*', when: '1/(port-443) > 0'}", "allow: [{to: '*', ports: 1-65535}]", "<<: {}", "? [a]\n: b", "deny: [{to: \"\\x00\"}]", "!!binary x",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := ParseFile("f", data)
		if err != nil {
			var fe *FileError
			require.ErrorAs(t, err, &fe)
			require.Positive(t, fe.Line)
			require.LessOrEqual(t, fe.Line, bytes.Count(data, []byte("\n"))+bytes.Count(data, []byte("\r"))+bytes.Count(data, []byte("\u0085"))+
				bytes.Count(data, []byte("\u2028"))+bytes.Count(data, []byte("\u2029"))+2)
			require.Less(t, len(fe.Error()), 8192)
			return
		}
		p, err := New(Config{File: file})
		require.NoError(t, err)
		for _, target := range []Target{{Name: "a.example"}, {Addr: addr("127.0.0.1")}} {
			a := addr("127.0.0.1")
			e := p.Explain("uid:1", target, []netip.Addr{a}, 443)
			allowed := p.CheckName("uid:1", target, 443) == nil && p.CheckAddr("uid:1", target, netip.AddrPortFrom(a, 443)) == nil
			require.Equal(t, allowed, e.Allowed)
		}
	})
}
