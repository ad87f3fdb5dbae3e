package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
)

// Threat 51. A policy file that can be misread is not read: the service does not
// start, and says in which line.
func TestThreat51PolicyFileConfusion(t *testing.T) {
	t.Parallel()
	for text, line := range map[string]int{
		"":                                                          1,
		"# nothing\n":                                               1,
		"- a\n":                                                     1,
		"denny: []\n":                                               1,
		"allow:\n":                                                  1, // null is not a list
		"allow: NO\n":                                               1,
		"\nmode: off\n":                                             2,
		"mode: no\n":                                                1,
		"mode: Enforce\n":                                           1,
		"mixed_answers: first\n":                                    1,
		"allow: {}\n":                                               1,
		"allow: db.example\n":                                       1,
		"allow:\n- db.example\n":                                    2,
		"allow:\n- {to: db.*.example}\n":                            2,
		"allow:\n- {to: \"*db.example\"}\n":                         2,
		"allow:\n- {to: \"**.example\"}\n":                          2,
		"allow:\n- {to: \"*.\"}\n":                                  2,
		"allow:\n- {to: \"*\"}\n":                                   2, // to allow everything is to have no list
		"allow:\n- {to: []}\n":                                      2,
		"allow:\n- {to: 10.0.0.1/8}\n":                              2,
		"allow:\n- {to: 10.0.0.0/33}\n":                             2,
		"allow:\n- {to: 10.0.0}\n":                                  2,
		"allow:\n- {to: 1.2}\n":                                     2, // a number, to YAML
		"allow:\n- {to: NO}\n":                                      2, // false, to YAML
		"allow:\n- {to: \"[::1]\"}\n":                               2,
		"allow:\n- {to: \"::1%lo\"}\n":                              2,
		"allow:\n- {to: https://a.example}":                         2,
		"allow:\n- {to: a.example:0}\n":                             2,
		"allow:\n- {to: a.example:99999}\n":                         2,
		"allow:\n- {to: a.example:080}\n":                           2,
		"allow:\n- {to: a.example:80, ports: 80}\n":                 2,
		"deny:\n- to: a.example\n  ports: 90-80\n":                  3,
		"deny:\n- to: a.example\n  ports: -1\n":                     3,
		"deny:\n- to: a.example\n  ports: all\n":                    3,
		"deny:\n- to: a.example\n  ports: []\n":                     3,
		"deny:\n- to: a.example\n  callers: []\n":                   3,
		"deny:\n- to: a.example\n  callers: \"\"\n":                 3,
		"deny:\n- to: a.example\n  callers: \"uid:*0\"\n":           3,
		"deny:\n- to: a.example\n  when: true\n":                    3,
		"deny:\n- to: a.example\n  when: port == \"443\"\n":         3,
		"deny:\n- to: a.example\n  when: hostt == \"a\"\n":          3,
		"deny:\n- to: a.example\n  when: port\n":                    3,
		"deny:\n- to: a.example\n  Why: x\n":                        3,
		"deny:\n- to: a.example\n  to: b.example\n":                 3,
		"deny: []\ndeny: []\n":                                      2,
		"deny:\n- &a {to: a.example}\n- *a\n":                       2,
		"deny:\n- {ports: 25}\n":                                    2,
		"mode: enforce\n---\nmode: report\n":                        2,
		"mode: enforce\n\tdeny: []\n":                               2,
		"deny:\n- {to: a.example, when: \"1 +\"}\n":                 2,
		"deny: []\n" + strings.Repeat("#", 1<<20):                   1,
		"deny: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]": 1,
	} {
		name := filepath.Join(t.TempDir(), "policy.yaml")
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
		cut := text[:min(len(text), 80)]
		for _, args := range [][]string{{"--egress-policy", name}, {"--config", configured(t, "egress:\n  policy: "+name+"\n")}} {
			out := fails(t, exitUsage, args...)
			require.Contains(t, out, fmt.Sprintf("%s:%d:", name, line), "%q", cut)
		}
	}
	for _, name := range []string{"/missing/policy.yaml", t.TempDir()} {
		out := fails(t, exitUsage, "--config", configured(t, "\negress:\n  policy: "+name+"\n"))
		require.Contains(t, out, "config.yaml:3: egress.policy")
		require.Contains(t, out, name)
	}
}

// An empty list allows nothing, in the file of rules and in the configuration alike;
// no list allows what is public.
func TestThreat51EmptyListsDenyEverything(t *testing.T) {
	t.Parallel()
	public := &pb.ExplainPolicyRequest{Host: "93.184.216.34", Port: 443} // which dials nothing
	for text, allowed := range map[string]bool{
		"egress: {allow: []}\n":               false,
		"{}\n":                                true,
		"egress: {allow: [\"10.0.0.0/8\"]}\n": false,
		"egress: {policy: POLICY}\n":          false,
		"egress: {policy: POLICY, allow: [\"93.184.216.0/24\"]}\n":            true,
		"egress: {policy: POLICY, allow: []}\n":                               false,
		"egress: {policy: OPEN}\n":                                            true,
		"egress: {policy: OPEN, allow: []}\n":                                 false,
		"egress: {policy: OPEN, allow: [\"*.example\", \"93.184.216.34\"]}\n": true,
	} {
		dir := t.TempDir()
		for name, policy := range map[string]string{"POLICY": "allow: []\n", "OPEN": "deny: []\n"} {
			path := filepath.Join(dir, name)
			require.NoError(t, os.WriteFile(path, []byte(policy), 0o600))
			text = strings.ReplaceAll(text, name, path)
		}
		d := start(t, 1, nil, "--config", configured(t, text))
		resp, err := pb.NewDiagnosticServiceClient(connection(t, d)).ExplainPolicy(t.Context(), public)
		require.NoError(t, err)
		require.Equal(t, allowed, resp.GetAllowed(), text)
		if !allowed {
			require.Equal(t, "not-in-allow-list", resp.GetRuleId(), text)
		}
		require.NoError(t, d.cmd.Process.Kill())
		d.exit(t)
	}
}

// Mode report lets through what the file denies, and writes it down with the rule's
// place; what is built in is denied as ever.
func TestThreat51ReportMode(t *testing.T) {
	t.Parallel()
	addr, _ := echo(t)
	r := startRuled(t, "mode: report\n"+denying(addr))
	reason, _, _ := r.connect(r.anyone, addr)
	require.Empty(t, reason)
	line := r.line("egress would be denied", 1)
	require.Equal(t, "WARN", line["level"])
	require.Equal(t, []any{"anonymous", "127.0.0.1", "deny[0]", r.file + ":4"}, []any{line["principal"], line["target"], line["rule"], line["source"]})
	require.NotEmpty(t, line["policy"])

	for host, rule := range map[string]string{"10.0.0.1:443": "special-purpose/private-use", "93.184.216.34:25": "port-25"} {
		reason, got, _ := r.connect(r.anyone, host)
		require.Equal(t, []string{"EGRESS_DENIED", rule}, []string{reason, got}, host)
	}

	// Back to enforcing it.
	r.write(denying(addr))
	r.line(loadedLine, 1)
	reason, _, _ = r.connect(r.anyone, addr)
	require.Equal(t, "EGRESS_DENIED", reason)
}

// Who administers is told where rules are written; everybody else that there are some.
// Both are told what happens.
func TestThreat51Explain(t *testing.T) {
	t.Parallel()
	addr, _ := echo(t)
	r := startRuled(t, denying(addr))
	_, rule, revision := r.connect(r.anyone, addr)
	req := &pb.ExplainPolicyRequest{Host: "127.0.0.1", Port: atoi32(t, addr[len("127.0.0.1:"):])}
	his, err := r.anyone.ExplainPolicy(t.Context(), req)
	require.NoError(t, err)
	req.Principal = "anonymous"
	about, err := r.operator.ExplainPolicy(t.Context(), req)
	require.NoError(t, err)
	for _, e := range []*pb.ExplainPolicyResponse{his, about} {
		require.False(t, e.GetAllowed())
		require.Equal(t, []string{rule, revision}, []string{e.GetRuleId(), e.GetRevision()})
	}
	require.Equal(t, r.file+":3", about.GetSteps()[0].GetSource())
	require.NotContains(t, his.String(), r.file)
	require.Eventually(t, func() bool {
		for _, line := range r.lines("audit") {
			if line["audit"] == "explain policy" && line["about"] == "anonymous" {
				return true
			}
		}
		return false
	}, patience, 5e6)
	req.Principal = "uid:0"
	_, err = r.anyone.ExplainPolicy(t.Context(), req)
	require.Equal(t, "NOT_ALLOWED", reasonOf(t, err))
}
