package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// policyRun is the program at a service with that policy and those sessions.
func policyRun(t *testing.T, g *guarded) func(line string) result {
	t.Helper()
	ca := tlstest.NewCA(t)
	g.token = "t0ken"
	startGuarded(t, g, serviceTLS(ca, nil))
	common := []string{"--server", "grpcs://" + g.address, "--cacert", writeFile(t, ca.PEM()), "--token-file", writeFile(t, []byte("t0ken"))}
	return func(line string) result { return runWith(t.Context(), nil, append(strings.Fields(line), common...)...) }
}

func TestPolicyExplain(t *testing.T) {
	t.Parallel()
	g := &guarded{policy: &pb.ExplainPolicyResponse{
		RuleId: "deny-db", Revision: "r7",
		Steps: []*pb.PolicyStep{
			{RuleId: "self", Subject: "db.example", Text: "the service's own addresses"},
			{RuleId: "deny-db", Subject: "192.0.2.1", Matched: true, Text: "no databases\x1b[31m", Source: "policy.yaml:12"},
		},
	}}
	run := policyRun(t, g)
	r := run("policy explain db.example:5432 --principal token:bob")
	require.Equal(t, exitDenied, r.code)
	require.Empty(t, r.stderr)
	require.True(t, proto.Equal(&pb.ExplainPolicyRequest{Host: "db.example", Port: 5432, Principal: "token:bob"}, g.asked[0]))
	lines := strings.Split(strings.TrimSuffix(r.stdout, "\n"), "\n")
	require.Len(t, lines, 4)
	require.Equal(t, []string{"no", "deny", "self", "-", "db.example"}, strings.Fields(lines[1])[:5])
	require.Equal(t, []string{"yes", "deny", "deny-db", "policy.yaml:12", "192.0.2.1"}, strings.Fields(lines[2])[:5])
	require.Equal(t, "db.example:5432 denied by deny-db, policy r7", lines[3])
	require.NotContains(t, r.stdout, "\x1b")

	for _, flag := range []string{"--json", "-o json"} {
		r = run("policy explain db.example:5432 " + flag)
		require.Equal(t, exitDenied, r.code)
		var answer pb.ExplainPolicyResponse
		require.NoError(t, protojson.Unmarshal([]byte(r.stdout), &answer))
		require.True(t, proto.Equal(g.policy, &answer))
	}

	g.policy = &pb.ExplainPolicyResponse{Allowed: true, Unresolved: &pb.Failure{
		Reason: pb.ErrorReason_ERROR_REASON_HOST_NOT_FOUND, Message: "no such host"}}
	r = run("policy explain [::1]:1")
	require.Equal(t, exitDone, r.code, r.stderr)
	require.Contains(t, r.stdout, "(HOST_NOT_FOUND)")
	require.Contains(t, r.stdout, "[::1]:1 not denied so far as no rule applies")

	require.Equal(t, exitPolicy, run("policy explain a:1 --principal token:forbidden").code)
	for _, line := range []string{"policy", "policy explain", "policy explain a", "policy explain a:1 b:2", "policy explain a:0", "policy explain a:1 -o yaml"} {
		require.Equal(t, exitUsage, run(line).code, line)
	}
}

func TestSessionsOfAllCallers(t *testing.T) {
	t.Parallel()
	g := &guarded{sessions: []*pb.Session{
		{SessionId: "aaaa", Owner: "token:ada"}, {SessionId: "bbbb", Owner: "uid:7\x1b"}, {SessionId: "cccc", Owner: "uid:8"},
	}}
	run := policyRun(t, g)
	r := run("sessions")
	require.Equal(t, exitDone, r.code, r.stderr)
	require.Equal(t, 2, strings.Count(r.stdout, "\n"))
	require.NotContains(t, r.stdout, "OWNER")
	r = run("sessions --all-callers")
	require.Equal(t, exitDone, r.code, r.stderr)
	lines := strings.Split(strings.TrimSuffix(r.stdout, "\n"), "\n")
	require.Len(t, lines, 4)
	require.Equal(t, []string{"OWNER", "ID"}, strings.Fields(lines[0])[:2])
	require.Equal(t, []string{`uid:7\x1b`, "bbbb"}, strings.Fields(lines[2])[:2])

	r = run("sessions close aaaa none bbbb")
	require.Equal(t, exitOther, r.code)
	require.Equal(t, []string{"aaaa", "bbbb"}, g.deleted)
	require.Equal(t, "aaaa  closed\nnone  not closed: SESSION_NOT_FOUND\nbbbb  closed\n", r.stdout)
	require.Contains(t, r.stderr, "(SESSION_NOT_FOUND)")
	require.Equal(t, exitDone, run("sessions close cccc").code)
	require.Equal(t, exitUsage, run("sessions close").code)
	require.Equal(t, exitUsage, run("sessions nonsense").code)
}

// TestCloseARealSession: the service itself.
func TestCloseARealSession(t *testing.T) {
	t.Parallel()
	address, c := startService(t)
	created, err := c.Service().CreateSession(t.Context(), &pb.CreateSessionRequest{})
	require.NoError(t, err)
	id := created.GetSession().GetSessionId()
	r := runWith(t.Context(), nil, "sessions", "close", id, "--server", address)
	require.Equal(t, exitDone, r.code, r.stderr)
	r = runWith(t.Context(), nil, "sessions", "close", id, "--server", address)
	require.Equal(t, exitOther, r.code)
}

// TestPolicyExplainAboutNobody: what is no principal is refused here, as callers.allow refuses it.
func TestPolicyExplainAboutNobody(t *testing.T) {
	t.Parallel()
	g := &guarded{policy: &pb.ExplainPolicyResponse{Allowed: true}}
	run := policyRun(t, g)
	for _, name := range []string{"bob", "uid:*", "*", "uid:x", "spiffe://prod"} {
		r := run("policy explain db.example:5432 --principal " + name)
		require.Equal(t, exitUsage, r.code, name)
		require.Contains(t, r.stderr, "--principal", name)
	}
	require.Empty(t, g.asked)
}
