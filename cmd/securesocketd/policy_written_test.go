package main

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
)

// TestExplainSaysWhereTheAllowListIsWritten: in the file, the environment or the flag, and in the file in which line.
func TestExplainSaysWhereTheAllowListIsWritten(t *testing.T) {
	t.Parallel()
	file := configured(t, "egress:\n  allow:\n    - \"10.0.0.0/8\"\n    - \"127.0.0.0/8\"\n")
	variable := func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "SECURESOCKET_EGRESS_ALLOW=10.0.0.0/8,127.0.0.0/8") }
	for _, c := range []struct {
		prepare func(*exec.Cmd)
		args    []string
		want    []string
	}{
		{nil, []string{"--config", file}, []string{file + ":3", file + ":4"}},
		{variable, []string{"--config", file}, []string{"$SECURESOCKET_EGRESS_ALLOW", "$SECURESOCKET_EGRESS_ALLOW"}},
		{variable, []string{"--egress-allow", "10.0.0.0/8", "--egress-allow", "127.0.0.0/8"}, []string{"--egress-allow", "--egress-allow"}},
	} {
		d := start(t, 1, c.prepare, c.args...)
		resp, err := pb.NewDiagnosticServiceClient(connection(t, d)).ExplainPolicy(t.Context(), &pb.ExplainPolicyRequest{Host: "127.0.0.1", Port: 443})
		require.NoError(t, err)
		var written []string
		for _, step := range resp.GetSteps() {
			if source := step.GetSource(); source != "" {
				written = append(written, source)
			}
		}
		require.Equal(t, c.want, written)
	}
}
