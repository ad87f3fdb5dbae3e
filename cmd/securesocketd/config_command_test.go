package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// configured writes a file of configuration.
func configured(tb testing.TB, text string) string {
	tb.Helper()
	name := filepath.Join(tb.TempDir(), "config.yaml")
	require.NoError(tb, os.WriteFile(name, []byte(text), 0o600))
	return name
}

// command runs the daemon's program to its end.
func command(tb testing.TB, code int, env []string, args ...string) (stdout, stderr string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append([]string{"XDG_RUNTIME_DIR=/run/x"}, env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run()
	require.Equal(tb, code, cmd.ProcessState.ExitCode(), "%s%s", out.String(), errs.String())
	return out.String(), errs.String()
}

func TestConfigCheckNamesFileAndLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	leaf := tlstest.NewCA(t).Leaf()
	cert, key := leaf.WriteFiles(dir)
	_, other := tlstest.NewCA(t).Leaf().WriteFiles(t.TempDir())
	for text, line := range map[string]string{
		"": "",
		"listen: [\"grpcs://127.0.0.1:0\"]\ntls: {cert: " + cert + ", key: " + key + "}\n": "",
		"\nlimits:\n  sesions: 3\n":                                        ":3: limits",
		"egress:\n  allow: [10.0.0.1/8]\n":                                 ":2: egress.allow",
		"listen_allow: [example.com]\n":                                    ":1: listen_allow",
		"\nbundles: {x: /missing}\n":                                       ":2: bundles",
		"\nidentities: {x: {cert: " + cert + ", key: " + other + "}}\n":    ":2: identities",
		"callers:\n  tokens: /missing\n":                                   ":2: callers.tokens",
		"callers:\n  allow: [\"spiffe://prod*\"]\n":                        ":2: callers.allow",
		"callers:\n  administrators: [\"spiffe://prod*\"]\n":               ":2: callers.administrators",
		"tls:\n  cert: " + cert + "\n  key: " + other + "\n":               ":2: tls.cert",
		"callers: {jwt: {issuer: \"http://192.0.2.1\", audience: a}}\n":    ":1: callers.jwt.issuer",
		"callers: {jwt: {issuer: x, audience: a, jwks: /missing}}\n":       ":1: callers.jwt.jwks",
		"listen: [\"grpcs://127.0.0.1:0\"]\n":                              ":1: listen",
		"tls: {cert: " + cert + ", key: " + key + ", client_ca: /missing}": ":1: tls.client_ca",
	} {
		file := configured(t, text)
		if line == "" {
			out, errs := command(t, exitOK, nil, "config", "check", "--config", file)
			require.NotEmpty(t, out)
			require.Empty(t, errs, text)
			continue
		}
		_, errs := command(t, exitUsage, nil, "config", "check", "--config", file)
		require.True(t, strings.HasPrefix(errs, file+line+": "), "%s: %s", text, errs)
		_, errs = command(t, exitUsage, []string{"SECURESOCKET_CONFIG=" + file}, "config", "check")
		require.True(t, strings.HasPrefix(errs, file+line+": "), "%s: %s", text, errs)
	}
	_, errs := command(t, exitUsage, nil, "config", "check", "--drain-timeout", "1", "--listen", "x")
	require.True(t, strings.HasPrefix(errs, "--drain-timeout: "), errs)
	require.Contains(t, errs, "\n--listen: ", "all mistakes are told")
	_, errs = command(t, exitOK, []string{"SECURESOCKET_LISTENN=x"}, "config", "check")
	require.Contains(t, errs, "$SECURESOCKET_LISTEN?")
	for _, args := range [][]string{{"config"}, {"config", "nonsense"}, {"config", "check", "x"}, {"config", "show", "--insecure=2"}, {"config", "check", "--config="}} {
		command(t, exitUsage, nil, args...)
	}
}

func TestConfigShowAndExample(t *testing.T) {
	t.Parallel()
	example, errs := command(t, exitOK, nil, "config", "example")
	require.Empty(t, errs)
	file := configured(t, example)
	command(t, exitOK, nil, "config", "check", "--config", file)
	fromExample, _ := command(t, exitOK, nil, "config", "show", "--config", file)
	byDefault, _ := command(t, exitOK, nil, "config", "show")
	require.Equal(t, byDefault, fromExample)
	again, _ := command(t, exitOK, nil, "config", "show", "--config", configured(t, byDefault))
	require.Equal(t, byDefault, again)

	shown, _ := command(t, exitOK, []string{"SECURESOCKET_INSECURE=true"}, "config", "show", "--effective", "--config", file, "--drain-timeout", "3s")
	require.Contains(t, shown, "insecure: true # $SECURESOCKET_INSECURE\n")
	require.Contains(t, shown, "  drain: 3s # flag --drain-timeout\n")
	require.Contains(t, shown, "  sessions: 20000 # "+file+":")
	require.Contains(t, shown, `#data_dir: not set # default`)
}

func TestServesAsTheFileSays(t *testing.T) {
	t.Parallel()
	socket := "unix://" + filepath.Join(t.TempDir(), "s.sock")
	file := configured(t, "listen: [\""+socket+"\"]\negress: {allow: []}\nlisten_allow: []\nlog: {format: json, level: warn}\ntimeouts: {drain: 1s}\n")
	d := start(t, 1, func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, "SECURESOCKET_CONFIG="+file, "SECURESOCKET_EGRES_ALLOW=x")
	})
	require.Equal(t, []string{socket}, d.ready)

	// An empty list is one: nothing that is public may be reached either.
	c := d.client(t)
	created, err := c.CreateSession(t.Context(), &pb.CreateSessionRequest{})
	require.NoError(t, err)
	_, err = c.Connect(t.Context(), &pb.ConnectRequest{SessionId: created.GetSession().GetSessionId(), Host: "8.8.8.8", Port: 443})
	require.Equal(t, "EGRESS_DENIED", reasonOf(t, err))
	_, err = pb.NewListenerServiceClient(connection(t, d)).Listen(t.Context(), &pb.ListenRequest{Address: "127.0.0.1"})
	require.Equal(t, "LISTEN_DENIED", reasonOf(t, err))

	require.NoError(t, d.cmd.Process.Signal(syscall.SIGTERM))
	require.Zero(t, d.exit(t))
	for line := range strings.Lines(d.log()) {
		require.True(t, strings.HasPrefix(line, "{"), line)
		require.NotContains(t, line, `"level":"INFO"`)
	}
	require.Contains(t, d.log(), "SECURESOCKET_EGRES_ALLOW")

	out := fails(t, exitUsage, "--config", configured(t, "insecure: perhaps\nlisten: 3\n"))
	require.Contains(t, out, "config.yaml:1: insecure: ")
	require.Contains(t, out, "config.yaml:2: listen: ")
}
