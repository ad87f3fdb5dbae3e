package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// refusedAlike runs config check and the service itself, as another user if there is one, and wants both to say the same.
// It returns the lines.
func refusedAlike(tb testing.TB, as *syscall.Credential, args ...string) []string {
	tb.Helper()
	said := func(prefix string, args ...string) []string {
		cmd := exec.CommandContext(tb.Context(), binary, args...)
		cmd.Env = []string{"XDG_RUNTIME_DIR=/run/x"}
		if as != nil {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
		}
		out, err := cmd.CombinedOutput()
		require.Error(tb, err)
		var lines []string
		for line := range strings.Lines(string(out)) {
			if !strings.Contains(line, "lists the flags") {
				rest, ok := strings.CutPrefix(line, prefix)
				require.True(tb, ok, line)
				lines = append(lines, rest)
			}
		}
		return lines
	}
	checked := said("", append([]string{"config", "check"}, args...)...)
	require.Equal(tb, said("securesocketd: ", args...), checked)
	return checked
}

// TestMistakesInWhatIsNamedAreToldAtOnce, each at the line of its entry, by the check as by the start.
func TestMistakesInWhatIsNamedAreToldAtOnce(t *testing.T) {
	t.Parallel()
	file := configured(t, `callers:
  allow:
    - "uid:*"
    - "spiffe://prod*"
    - "spiffe://prof*"
  tokens: /missing0
  jwt: {issuer: x, audience: a, jwks: /missing1}
tls:
  cert: /missing2
  key: /missing3
  client_ca: /missing4
egress:
  policy: /missing5
listen_allow:
  - 127.0.0.1
  - example.com
  - example.org
bundles:
  a: /missing6
  b: /missing7
identities:
  x: {cert: /missing8, key: /missing9}
  y:
    cert: /missing10
    key: /missing11
`)
	var places []string
	for _, line := range refusedAlike(t, nil, "--config", file) {
		place, _, _ := strings.Cut(strings.TrimPrefix(line, file+":"), ": ")
		places = append(places, place)
	}
	require.ElementsMatch(t, strings.Fields("4 5 6 7 9 10 11 13 16 17 19 20 22 22 23 23"), places)

	lines := refusedAlike(t, nil, "--egress-allow", "10.0.0.1/8", "--egress-allow", "10.0.0.0/8", "--egress-allow", "[")
	require.Len(t, lines, 2)
}

// TestMistakesWithinAFileAreToldAtOnce: of rules and of tokens, each behind the setting that names the file.
func TestMistakesWithinAFileAreToldAtOnce(t *testing.T) {
	t.Parallel()
	policy, tokens := configured(t, "mode: off\ndeny:\n- to: 10.0.0.1/8\n- ports: 0\n"), configured(t, "a\n\nb\n")
	lines := refusedAlike(t, nil, "--egress-policy", policy, "--callers-tokens", tokens)
	var places []string
	for _, line := range lines {
		flag, rest, _ := strings.Cut(line, ": ")
		place, _, _ := strings.Cut(rest, ": ")
		places = append(places, flag+" "+place)
	}
	require.ElementsMatch(t, []string{
		"--callers-tokens " + tokens + ":1", "--callers-tokens " + tokens + ":3",
		"--egress-policy " + policy + ":1", "--egress-policy " + policy + ":3", "--egress-policy " + policy + ":4", "--egress-policy " + policy + ":4",
	}, places)
}

func TestCheckLooksAtDataDirAndSockets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plain, open, new := filepath.Join(dir, "plain"), filepath.Join(dir, "open"), filepath.Join(dir, "new")
	require.NoError(t, os.WriteFile(plain, nil, 0o600))
	require.NoError(t, os.Mkdir(open, 0o700))
	require.NoError(t, os.Chmod(open, 0o777)) //nolint:gosec // the flaw that is tested
	socket := "unix://" + filepath.Join(dir, "s.sock")
	refusedAlike(t, nil, "--listen", socket, "--data-dir", plain)
	refusedAlike(t, nil, "--listen", socket, "--data-dir", open)
	refusedAlike(t, nil, "--listen", "unix://"+open+"/s.sock")
	refusedAlike(t, nil, "--listen", "unix://"+plain+"/s.sock")
	refusedAlike(t, nil, "--listen", "unix://"+open+"/below/s.sock")
	refusedAlike(t, nil, "--listen", socket, "--admin", "unix://"+open+"/s.sock")

	pipe := filepath.Join(dir, "pipe") // nobody waits for who would write it
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	for _, args := range [][]string{
		{"--config", pipe}, {"--bundle", "x=" + pipe}, {"--identity", "x=" + pipe + "," + pipe}, {"--callers-tokens", pipe}, {"--egress-policy", pipe},
	} {
		refusedAlike(t, nil, args...)
	}

	command(t, exitOK, nil, "config", "check", "--data-dir", filepath.Join(new, "data"), "--listen", "unix://"+new+"/s.sock")
	require.NoDirExists(t, new)
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user")
	}
	nobody := &syscall.Credential{Uid: 65534, Gid: 65534}
	require.NoError(t, os.Chmod(filepath.Dir(binary), 0o755)) //nolint:gosec // nobody has to run it
	public := "unix:///tmp/securesocket-test-nobody.sock"
	refusedAlike(t, nobody, "--listen", public, "--data-dir", "/root/x")
	refusedAlike(t, nobody, "--listen", public, "--data-dir", "/etc/x/y")
	refusedAlike(t, nobody, "--listen", "unix:///etc/x/s.sock")
	refusedAlike(t, nobody, "--listen", "unix:///etc/s.sock")
	refusedAlike(t, nobody, "--listen", public, "--callers-tokens", "/etc/shadow", "--bundle", "x=/etc/shadow", "--egress-policy", "/etc/shadow")
}
